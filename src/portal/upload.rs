//! Forms that hold a file, as browsers send them: multipart/form-data (RFC 7578).
//!
//! Their reader asks a body twice in one turn until it has found the first boundary, and takes a
//! form that arrives whole between the two for one that ended early. The portal's handlers run
//! beside the task that receives a body, so this happens. Here a body says that it has ended in a
//! turn of its own, which leaves nothing to arrive between the two questions.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::multipart::{Multipart, MultipartRejection};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};

/// The fields of a form that may hold a file. None is read before a handler asks for it.
pub struct Upload(pub Multipart);

impl<S: Send + Sync> FromRequest<S> for Upload {
    type Rejection = MultipartRejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, MultipartRejection> {
        let request = request.map(|body| Body::new(EndsAlone { body, is_over: false }));
        Multipart::from_request(request, state).await.map(Self)
    }
}

/// A body whose end comes in another turn than its last bytes.
struct EndsAlone {
    body: Body,
    is_over: bool,
}

impl HttpBody for EndsAlone {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        if frame.is_some() {
            return Poll::Ready(frame);
        }
        this.is_over = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{self, StreamExt};
    use http::header::CONTENT_TYPE;

    use super::*;

    const FORM: &str =
        "--mark\r\ncontent-disposition: form-data; name=\"names\"\r\n\r\nAda\r\n--mark--\r\n";

    /// A form that has not arrived when it is first asked for, and then arrives in these pieces.
    async fn read(pieces: Vec<&'static str>) -> Vec<(String, String)> {
        let mut asked = false;
        let not_yet = stream::poll_fn(move |cx| {
            if std::mem::replace(&mut asked, true) {
                return Poll::Ready(None);
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        let body = not_yet.chain(stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)));
        let request = Request::post("/").header(CONTENT_TYPE, "multipart/form-data; boundary=mark");
        let request = request.body(Body::from_stream(body)).unwrap();
        let Upload(mut form) = Upload::from_request(request, &()).await.unwrap();
        let mut fields = Vec::new();
        while let Some(field) = form.next_field().await.unwrap() {
            fields.push((field.name().unwrap().to_owned(), field.text().await.unwrap()));
        }
        fields
    }

    #[tokio::test]
    async fn a_form_that_arrives_at_once_is_not_taken_for_one_that_ended_early() {
        assert_eq!(read(vec![FORM]).await, [("names".to_owned(), "Ada".to_owned())]);
    }

    #[tokio::test]
    async fn a_form_may_arrive_in_any_two_pieces() {
        for at in 0..FORM.len() {
            let (first, second) = FORM.split_at(at);
            let fields = read(vec![first, second]).await;
            assert_eq!(fields, [("names".to_owned(), "Ada".to_owned())], "cut at {at}");
        }
    }
}
