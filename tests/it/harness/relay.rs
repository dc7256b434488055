//! A cable between the proxy and its database that a test can cut and mend.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes bytes both ways while the cable is [`Cable::Whole`].
pub struct Relay {
    pub addr: SocketAddr,
    cable: watch::Sender<Cable>,
}

/// The state of the connections, and of those to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cable {
    Whole,
    /// The other end is gone: connections break.
    Cut,
    /// The other end is not heard of: nothing arrives, nothing breaks.
    Silent,
}

impl Relay {
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("its address");
        let (cable, state) = watch::channel(Cable::Whole);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(pass(near, target, state.clone()));
            }
        });
        Self { addr, cable }
    }

    pub fn set(&self, cable: Cable) {
        self.cable.send_replace(cable);
    }
}

async fn pass(mut near: TcpStream, target: SocketAddr, mut cable: watch::Receiver<Cable>) {
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    loop {
        let state = *cable.borrow_and_update();
        let changed = match state {
            Cable::Cut => return,
            Cable::Silent => cable.changed().await,
            Cable::Whole => tokio::select! {
                // What was read from one side and not yet written to the other is
                // lost when the state changes: no test mends a silent connection
                // and expects it to go on.
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
                changed = cable.changed() => changed,
            },
        };
        if changed.is_err() {
            return;
        }
        if state == Cable::Silent {
            return;
        }
    }
}
