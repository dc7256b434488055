//! A cable between the proxy and its database that a test can cut and mend.

use std::net::SocketAddr;
use std::sync::Arc;

use memchr::memmem;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes bytes both ways while the cable is [`Cable::Whole`].
pub struct Relay {
    pub addr: SocketAddr,
    cable: watch::Sender<Cable>,
    questions: Arc<Mutex<Questions>>,
}

/// The statements that the store was asked, and the answers that get lost.
#[derive(Default)]
struct Questions {
    /// The beginnings of the statements that were executed, in their order.
    asked: Vec<String>,
    swallowed: &'static str,
    left: usize,
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
        let questions = Arc::<Mutex<Questions>>::default();
        let asked = questions.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(pass(near, target, state.clone(), asked.clone()));
            }
        });
        Self { addr, cable, questions }
    }

    /// The next so many executions of a statement that begins like this are
    /// acknowledged and never answered, as by a peer that is gone; nothing is heard
    /// on their connections any more.
    pub fn swallow(&self, statement: &'static str, times: usize) {
        let mut questions = self.questions.lock();
        (questions.swallowed, questions.left) = (statement, times);
    }

    /// How many answers are yet to be swallowed.
    pub fn to_swallow(&self) -> usize {
        self.questions.lock().left
    }

    /// How often a statement that begins like this was executed.
    pub fn executions(&self, statement: &str) -> usize {
        let questions = self.questions.lock();
        questions.asked.iter().filter(|asked| asked.starts_with(statement)).count()
    }

    pub fn set(&self, cable: Cable) {
        self.cable.send_replace(cable);
    }
}

async fn pass(
    near: TcpStream,
    target: SocketAddr,
    mut cable: watch::Receiver<Cable>,
    asked: Arc<Mutex<Questions>>,
) {
    let Ok(far) = TcpStream::connect(target).await else { return };
    let (mut near, mut far) = (near.into_split(), far.into_split());
    let mut prepared = Prepared::default();
    loop {
        let state = *cable.borrow_and_update();
        let changed = match state {
            Cable::Cut => return,
            Cable::Silent => cable.changed().await,
            Cable::Whole => tokio::select! {
                // What was read from one side and not yet written to the other is
                // lost when the state changes: no test mends a silent connection
                // and expects it to go on.
                () = questions(&mut near.0, &mut far.1, &mut prepared, &asked) => return,
                () = answers(&mut far.0, &mut near.1) => return,
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

async fn answers(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) {
    let _ = tokio::io::copy(from, to).await;
}

/// Passes what is asked, until an answer is to be swallowed: from then on it is read
/// and dropped.
async fn questions(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    prepared: &mut Prepared,
    questions: &Mutex<Questions>,
) {
    let (mut buffer, mut is_deaf) = (vec![0; 64 * 1024], false);
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..read];
        for statement in prepared.executed(bytes) {
            let mut questions = questions.lock();
            if !is_deaf && questions.left > 0 && statement.starts_with(questions.swallowed) {
                questions.left -= 1;
                is_deaf = true;
            }
            questions.asked.push(statement);
        }
        if !is_deaf && to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

/// The statements of one connection by the names that the driver gave them.
#[derive(Default)]
struct Prepared {
    statements: Vec<(Vec<u8>, String)>,
}

impl Prepared {
    /// How far a statement is remembered.
    const BEGINNING: usize = 64;

    /// The statements that these bytes bind. The text of one is sent only once, in a
    /// Parse message right behind its name; a Bind message has the name behind the
    /// end of another string. (Messages as short as these come in one piece.)
    fn executed(&mut self, bytes: &[u8]) -> Vec<String> {
        for at in memmem::find_iter(bytes, b"sqlx_s_") {
            let (before, rest) = bytes.split_at(at);
            let is_parse = before.len() >= 5 && before[before.len() - 5] == b'P';
            let Some(end) = memchr::memchr(0, rest).filter(|_| is_parse) else { continue };
            let (name, text) = rest.split_at(end + 1);
            let text = &text[..text.len().min(Self::BEGINNING)];
            let named = [b"\0", name].concat();
            self.statements.retain(|(known, _)| *known != named);
            self.statements.push((named, String::from_utf8_lossy(text).into_owned()));
        }
        let is_bound = |name: &[u8]| memmem::find(bytes, name).is_some();
        let bound = self.statements.iter().filter(|(name, _)| is_bound(name));
        bound.map(|(_, text)| text.clone()).collect()
    }
}
