//! Admits requests to the portal: a bounded number at once, whose bodies are bounded and
//! have to arrive in time.
//!
//! Visitors, owners and programs have turns of their own, so that visitors keep no owner out, and
//! one network gets only a share of each. A visitor's body is small and is read before it takes
//! a turn, so a stalled body holds none. An owner's body is read once it is known who they are, and
//! one owner gets only a share of the turns.

use std::error::Error;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{BoxError, RequestExt};
use bytes::Bytes;
use http::request::Parts;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Site;
use super::api::error::ApiError;
use super::error::PageError;
use super::visitor::Peer;
use crate::net::{self, source_network};
use crate::turns::{Bounds, Full, Turn, Turns};

/// The largest form of a visitor: two passwords and a name, percent-encoded.
const VISITORS_FORM: usize = 8 * 1024;

/// An owner's: a description, and a list of all their resources.
const OWNERS_FORM: usize = 1024 * 1024;

/// A body has this long to arrive, and a second more for each [`BYTES_A_SECOND`] that have arrived:
/// a trickle is cut off, and a large file gets through a slow line.
const ALLOWANCE: Duration = Duration::from_secs(10);
const BYTES_A_SECOND: u32 = 32 * 1024;

pub fn owners_form() -> DefaultBodyLimit {
    DefaultBodyLimit::max(OWNERS_FORM)
}

/// The people or programs that a route serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Crowd {
    /// Anybody: nobody is signed in, or not yet.
    Visitors,
    Owners,
    Programs,
}

/// The turns of all requests.
pub struct Gate {
    /// Visitors whose bodies are arriving.
    arriving: Turns<IpAddr>,
    visitors: Turns<IpAddr>,
    owners: Turns<IpAddr>,
    programs: Turns<IpAddr>,
    /// One owner's, in a browser or by programs.
    each_owner: Turns<(String, Crowd)>,
}

impl Default for Gate {
    fn default() -> Self {
        // Nobody waits: waiting would hold the connection just as long.
        let arriving = Bounds {
            at_once: 4096,
            each: 256,
            waiting: 0,
            waiting_each: 0,
            patience: Duration::ZERO,
        };
        // A room shares one network, and all of it may come at the same moment.
        let bounds = Bounds {
            at_once: 256,
            each: 64,
            waiting: 2048,
            waiting_each: 512,
            patience: Duration::from_secs(5),
        };
        // Whoever gets here already has one of the turns above.
        let each_owner = Bounds { at_once: 512, each: 32, waiting_each: 16, ..bounds };
        Self {
            arriving: Turns::new(arriving),
            visitors: Turns::new(bounds),
            owners: Turns::new(bounds),
            programs: Turns::new(bounds),
            each_owner: Turns::new(each_owner),
        }
    }
}

/// A turn of one owner, for as long as their request is answered.
pub struct OwnersTurn {
    _turn: Turn<(String, Crowd)>,
}

/// Takes a turn of the owner who turned out to ask.
///
/// # Errors
/// [`Full`]: this owner has as many requests under way as one may have.
pub async fn owners_turn(parts: &Parts, owner_id: &str, crowd: Crowd) -> Result<OwnersTurn, Full> {
    let gate = parts.extensions.get::<Arc<Gate>>().ok_or(Full)?;
    let turn = gate.each_owner.take(&(owner_id.to_owned(), crowd)).await?;
    Ok(OwnersTurn { _turn: turn })
}

/// The entrance to the routes of a crowd.
#[derive(Clone)]
pub struct Door {
    site: Site,
    gate: Arc<Gate>,
    crowd: Crowd,
}

impl Door {
    pub fn new(site: &Site, gate: &Arc<Gate>, crowd: Crowd) -> Self {
        Self { site: site.clone(), gate: gate.clone(), crowd }
    }
}

/// Lets a request in when it is its turn.
pub async fn admit(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let Some(Peer(peer)) = request.extensions().get::<Peer>().copied() else {
        return PageError::internal("a request without a peer").into_response();
    };
    let source = net::source(peer, request.headers(), &door.site.config.trusted_proxies);
    let source = source_network(source);
    if door.crowd == Crowd::Visitors {
        request = match arrived(&door.gate, source, request).await {
            Ok(request) => request,
            Err(error) => return error.into_response(),
        };
    }
    let turns = match door.crowd {
        Crowd::Visitors => &door.gate.visitors,
        Crowd::Owners => &door.gate.owners,
        Crowd::Programs => &door.gate.programs,
    };
    let Ok(_turn) = turns.take(&source).await else {
        return match door.crowd {
            Crowd::Programs => ApiError::busy().into_response(),
            Crowd::Visitors | Crowd::Owners => PageError::Busy.into_response(),
        };
    };
    request.extensions_mut().insert(door.gate.clone());
    next.run(request.map(|body| Body::new(Timed::new(body)))).await
}

/// A visitor's request, once its body is here.
async fn arrived(gate: &Gate, source: IpAddr, request: Request) -> Result<Request, PageError> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let _turn = gate.arriving.take(&source).await?;
    let (head, body) = request.into_parts();
    let body = gather(Limited::new(Timed::new(body), VISITORS_FORM)).await?;
    Ok(Request::from_parts(head, Body::from(body)))
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    TooLarge,
    /// It did not arrive in time.
    Late,
    /// It ended early, or is not framed as it says.
    Broken,
}

impl Unread {
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if error.is::<LengthLimitError>() {
                return Unread::TooLarge;
            }
            if error.is::<Late>() {
                return Unread::Late;
            }
            cause = error.source();
        }
        Unread::Broken
    }
}

/// Reads a body as far as the route's limit.
pub async fn read(request: Request) -> Result<Bytes, Unread> {
    gather(request.into_limited_body()).await
}

async fn gather<B>(mut body: B) -> Result<Bytes, Unread>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    // Copied: chunks of a byte each would hold the buffers that they lie in.
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(chunk) = frame.map_err(|error| Unread::of(&*error.into()))?.into_data() {
            read.extend_from_slice(&chunk);
        }
    }
    Ok(read.into())
}

#[derive(Debug, thiserror::Error)]
#[error("the body did not arrive in time")]
struct Late;

/// A body that fails once it is late. Its time begins when it is first polled.
struct Timed {
    body: Body,
    clock: Option<Pin<Box<Sleep>>>,
    deadline: Option<Instant>,
}

impl Timed {
    fn new(body: Body) -> Self {
        Self { body, clock: None, deadline: None }
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let deadline = *this.deadline.get_or_insert_with(|| Instant::now() + ALLOWANCE);
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            if let Some(Ok(frame)) = &frame {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                let more = Duration::from_secs(bytes as u64) / BYTES_A_SECOND;
                this.deadline = Some(deadline + more);
            }
            return Poll::Ready(frame);
        }
        let clock = this.clock.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if clock.deadline() != deadline {
            clock.as_mut().reset(deadline);
        }
        ready!(clock.as_mut().poll(cx));
        Poll::Ready(Some(Err(axum::Error::new(Late))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{self, StreamExt};

    use super::*;

    /// A body that sends a chunk each so many milliseconds.
    fn dripping(chunks: usize, bytes: usize, pause_ms: u64) -> Request {
        let drip = stream::iter(0..chunks).then(move |_| async move {
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            Ok::<_, std::convert::Infallible>(vec![b'x'; bytes])
        });
        Request::new(Body::new(Timed::new(Body::from_stream(drip))))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_its_time_and_more_as_it_arrives() {
        let began = Instant::now();
        assert_eq!(read(dripping(100_000, 1, 900)).await, Err(Unread::Late));
        assert!(began.elapsed() < ALLOWANCE + Duration::from_secs(1), "{:?}", began.elapsed());
        let began = Instant::now();
        // Longer than the allowance by far, at twice the speed that is asked for.
        let large = read(dripping(1600, 1024, 1000 / 64)).await.unwrap();
        assert!(large.len() == 1600 * 1024 && began.elapsed() > 2 * ALLOWANCE);
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_of_its_route_is_too_large() {
        let request = dripping(3, 1024 * 1024, 0);
        assert_eq!(read(request).await, Err(Unread::TooLarge));
    }
}
