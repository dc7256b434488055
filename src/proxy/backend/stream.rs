//! The stream of a backend connection, TCP or TLS over it, and the check whether an idle
//! one may be used again: a server may have closed it, or sent bytes that nobody asked for.
//! How long connections are kept is decided by `pool`.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// What the backend did on a connection that lies idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleActivity {
    /// Nothing: the connection may serve the next request.
    Nothing,
    /// The backend closed it, or it broke.
    Close,
    /// The backend sent bytes that answer no request.
    Bytes,
}

pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// What the backend did since its last answer was read, as the socket has it now.
    fn idle_activity(&mut self) -> IdleActivity;
}

impl Stream for TcpStream {
    fn idle_activity(&mut self) -> IdleActivity {
        peek(self)
    }
}

impl Stream for TlsStream<TcpStream> {
    /// Reads through TLS first, because a session ticket may legitimately lie unread,
    /// and then asks the TCP socket beneath. A record that only the socket knows of
    /// cannot be read here and costs the connection, which is always safe.
    fn idle_activity(&mut self) -> IdleActivity {
        let (mut byte, mut cx) = ([0], Context::from_waker(Waker::noop()));
        let mut read = ReadBuf::new(&mut byte);
        match Pin::new(&mut *self).poll_read(&mut cx, &mut read) {
            Poll::Pending => peek(self.get_ref().0),
            Poll::Ready(Ok(())) if !read.filled().is_empty() => IdleActivity::Bytes,
            Poll::Ready(_) => IdleActivity::Close,
        }
    }
}

/// Asks the kernel and not the runtime, whose idea of a socket's readiness is as old
/// as its last look at the events.
fn peek(stream: &TcpStream) -> IdleActivity {
    match SockRef::from(stream).peek(&mut [MaybeUninit::uninit()]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => IdleActivity::Nothing,
        Ok(0) | Err(_) => IdleActivity::Close,
        Ok(_) => IdleActivity::Bytes,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// A connection of which the runtime last saw that there is nothing to read, and
    /// the backend's end of it.
    async fn connection() -> (TcpStream, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut far, _) = listener.accept().unwrap();
        far.set_nodelay(true).unwrap();
        near.try_write(b"?").unwrap();
        far.read_exact(&mut [0]).unwrap();
        let poll = |near: &mut TcpStream| {
            let (mut byte, mut cx) = ([0], Context::from_waker(Waker::noop()));
            Pin::new(near).poll_read(&mut cx, &mut ReadBuf::new(&mut byte)).is_pending()
        };
        assert!(poll(&mut near));
        (near, far)
    }

    #[tokio::test]
    async fn what_the_runtime_has_not_noticed_yet_is_heard() {
        let (mut near, far) = connection().await;
        assert_eq!(near.idle_activity(), IdleActivity::Nothing);
        (&far).write_all(b"x").unwrap();
        assert_eq!(near.idle_activity(), IdleActivity::Bytes);
        assert_eq!(near.idle_activity(), IdleActivity::Bytes, "it is still there");

        let (mut near, far) = connection().await;
        drop(far);
        assert_eq!(near.idle_activity(), IdleActivity::Close);

        let (mut near, far) = connection().await;
        SockRef::from(&far).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(far);
        assert_eq!(near.idle_activity(), IdleActivity::Close);
    }
}
