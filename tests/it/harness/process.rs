//! The real binary as a process, which can be asked to stop or killed.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::harness::{PATIENCE, eventually};

/// `ai-proxy serve` on a port of its own; killed when dropped.
pub struct Process {
    pub addr: SocketAddr,
    child: Child,
    output: Arc<Mutex<String>>,
}

impl Process {
    /// Starts it with `settings` (variables of the environment) and waits until it listens.
    pub async fn serve(settings: &[(&str, String)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ai-proxy"))
            .args(["serve", "--listen", "127.0.0.1:0", "--health-interval", "0"])
            .env_clear()
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let output = Arc::<Mutex<String>>::default();
        collect(child.stdout.take().expect("piped"), &output);
        collect(child.stderr.take().expect("piped"), &output);

        let mut addr = None;
        eventually("the process listens", async || {
            if let Some(status) = child.try_wait().expect("a child") {
                panic!("it ended with {status}:\n{}", output.lock());
            }
            addr = address_after(&output.lock(), "listening on http://");
            addr.is_some()
        })
        .await;
        Self { addr: addr.expect("just found"), child, output }
    }

    /// The address that it has written after `words`.
    pub fn address_after(&self, words: &str) -> Option<SocketAddr> {
        address_after(&self.output.lock(), words)
    }

    /// All that it has written, to stdout and stderr.
    pub fn output(&self) -> String {
        self.output.lock().clone()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().expect("a running child");
        self.child.wait().expect("it is gone");
    }

    /// SIGTERM, as an orchestrator stops it; waits for the end.
    pub async fn stop(&mut self) -> ExitStatus {
        let pid = i32::try_from(self.child.id()).expect("a pid");
        // SAFETY: a plain system call; the child is not yet waited for, so the pid is its own.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(std::time::Instant::now() < deadline, "it does not stop:\n{}", self.output());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(stream: impl Read + Send + 'static, output: &Arc<Mutex<String>>) {
    let output = output.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut output = output.lock();
            output.push_str(&line);
            output.push('\n');
        }
    });
}

/// The address that follows `words`, in either log format.
fn address_after(output: &str, words: &str) -> Option<SocketAddr> {
    let (_, after) = output.split_once(words)?;
    let end = after.find(|c: char| !(c.is_ascii_hexdigit() || ".:[]".contains(c)))?;
    after[..end].parse().ok()
}
