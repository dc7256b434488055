//! Bodies stream both ways, chunk by chunk, untouched.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ai_proxy::catalog::Digest;

use crate::harness::attendee::DEMO;
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::reply::Reply;
use crate::harness::{CALL, eventually};

/// Compares large bodies without printing them.
fn digest(bytes: &[u8]) -> (usize, Digest) {
    (bytes.len(), Digest::sha256(bytes))
}

/// Bytes that repeat nowhere in a chunk.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_goes_out_while_the_body_is_silent() {
    for method in ["GET", "POST"] {
        let (backend, mut visits) = Backend::by_hand().await;
        let (_proxy, ada) = Proxy::serving(&backend).await;
        let mut wire = ada.ask_or_call(method, DEMO).send().await;
        let (mut visit, _) = visits.request().await;
        visit.begin_events().await;
        let head = wire.head().await.unwrap();
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        visit.chunk("data: late\n\n").await;
        wire.hears("data: late\n\n").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn once_it_has_begun_an_answer_may_take_its_time() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (_proxy, ada) = Proxy::serving_with(&backend, |config| {
        config.backend_timeout = "0.3".parse().unwrap();
        config.connect_timeout = "0.3".parse().unwrap();
    })
    .await;
    let mut wire = ada.post(CALL).send().await;
    let (mut visit, _) = visits.request().await;
    visit.begin_events().await;
    wire.head().await.unwrap();
    // A later call, of which no answer has begun, runs out of its time meanwhile.
    assert_eq!(ada.post(CALL).await.code(), "backend_timeout");
    visit.chunk("data: late\n\n").await;
    wire.hears("data: late\n\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_chunk_is_forwarded_before_the_next_is_sent() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = ada.post(CALL).send().await;
    let (mut visit, _) = visits.request().await;
    visit.begin_events().await;
    wire.head().await.unwrap();
    for chunk in [
        "event: message\ndata: {\"progress\":1}\n\n".as_bytes(),
        // Two events in one chunk; one in three; with both line ends.
        b"data: a\n\ndata: b\r\n\r\n",
        b"id: 1\nda",
        b"ta: {\"x\":",
        b"1}\n\n",
        b": ping\n\n",
        // A character in two parts, and its last bytes with the next event.
        b"data: \xe2\x82",
        b"\xac\n\ndata: \xf0",
        b"\x9f\x98\x80\n\n",
        b"\n",
        b"x",
    ] {
        visit.chunk(chunk).await;
        wire.hears(chunk).await;
    }
    visit.chunk("").await;
    wire.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_crosses_in_milliseconds() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = ada.post(CALL).send().await;
    let (mut visit, _) = visits.request().await;
    visit.begin_events().await;
    wire.head().await.unwrap();
    let mut times = Vec::new();
    for n in 0..50 {
        let event = format!("data: {n}\n\n");
        let began = std::time::Instant::now();
        visit.chunk(&event).await;
        wire.hears(&event).await;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    // The middle one: machines that run tests stumble. A delayed ACK takes 40 ms.
    assert!(times[25] < Duration::from_millis(20), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_known_length_arrives_as_it_comes_too() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = ada.post(CALL).send().await;
    let (mut visit, _) = visits.request().await;
    visit.reply(Reply::status(200).header("content-length", "10").open()).await;
    let head = wire.head().await.unwrap();
    assert_eq!(head.header("content-length"), Some("10"));
    assert_eq!(head.header("transfer-encoding"), None);
    visit.write("first").await;
    assert_eq!(wire.bytes(5).await.unwrap(), b"first");
    visit.write("later").await;
    assert_eq!(wire.bytes(5).await.unwrap(), b"later");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_ends_with_its_connection_ends_properly() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = ada.post(CALL).send().await;
    let (mut visit, _) = visits.request().await;
    visit.reply(Reply::status(200).header("connection", "close").open()).await;
    wire.head().await.unwrap();
    visit.write("all of it").await;
    wire.hears("all of it").await;
    drop(visit);
    wire.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_bytes_are_not_touched() {
    // What gzip makes of "hello", and bytes that only claim to be compressed.
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00\x00\x00";
    for (coding, body) in [("gzip", &gzip[..]), ("br", b"not brotli"), ("zstd", b"\x00\xff")] {
        let backend = Backend::answering(move |_| {
            let reply = Reply::status(200).header("content-type", "application/json");
            reply.header("content-encoding", coding).body(body)
        });
        let backend = backend.await;
        let (_proxy, ada) = Proxy::serving(&backend).await;
        let answer = ada.post(CALL).header("accept-encoding", "gzip, br, zstd").await;
        assert_eq!(answer.header("content-encoding"), Some(coding));
        assert_eq!(answer.body, body);
        assert_eq!(backend.request().header("accept-encoding"), Some("gzip, br, zstd"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_compressed_that_was_not() {
    let body = "{\"x\":\"".to_owned() + &"compressible ".repeat(10_000) + "\"}";
    let backend = Backend::answering({
        let body = body.clone();
        move |_| Reply::json(&body)
    });
    let backend = backend.await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let answer = ada.post(CALL).header("accept-encoding", "gzip, br, zstd").await;
    assert_eq!(answer.header("content-encoding"), None);
    assert_eq!(digest(&answer.body), digest(body.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_pass_both_ways() {
    let down = noise(24 << 20);
    let backend = Backend::answering({
        let down = down.clone();
        move |_| Reply::status(200).body(down.clone())
    });
    let backend = backend.await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    // To the limit, which is the default's; around the read-ahead.
    for length in [16 << 20, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 1, 0] {
        let mut up = noise(length);
        // A body whose form is unclear must fit the read-ahead.
        if let Some(first) = up.first_mut() {
            *first = b'{';
        }
        let answer = ada.ask("POST", DEMO).body(up.clone()).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        assert_eq!(digest(&answer.body), digest(&down));
        assert_eq!(digest(&backend.requests().pop().unwrap().body), digest(&up));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_body_streams_beyond_the_read_ahead() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    for (framing, is_chunked) in
        [("content-length: 100010", false), ("transfer-encoding: chunked", true)]
    {
        let (name, value) = framing.split_once(": ").unwrap();
        let mut wire = proxy.wire().await;
        wire.send(ada.ask("POST", DEMO).header(name, value).head()).await.unwrap();
        let part = |data: &[u8]| match is_chunked {
            true => [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat(),
            false => data.to_vec(),
        };
        let start = vec![b'{'; 100_000];
        wire.send(part(&start)).await.unwrap();
        let mut visit = visits.next().await;
        let head = visit.head().await;
        assert_eq!(head.header(name), Some(value), "framed as the client framed it");
        let mut got = Vec::new();
        while got.len() < start.len() {
            match is_chunked {
                true => got.extend(visit.body_chunk().await.unwrap()),
                false => got = visit.body_bytes(start.len()).await,
            }
        }
        assert_eq!(got, start, "all of it, while the client has more to say");
        wire.send(part(b"0123456789")).await.unwrap();
        match is_chunked {
            true => assert_eq!(visit.body_chunk().await.unwrap(), b"0123456789"),
            false => assert_eq!(visit.body_bytes(10).await, b"0123456789"),
        }
        if is_chunked {
            wire.send("0\r\n\r\n").await.unwrap();
            assert_eq!(visit.body_chunk().await, None);
        }
        visit.reply(Reply::json("{}").header("connection", "close")).await;
        assert_eq!(wire.answer().await.unwrap().status, 200);
    }
    assert_eq!(backend.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_begin_before_the_request_has_ended() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = proxy.wire().await;
    let head = ada.ask("POST", DEMO).header("content-length", "100010").head();
    wire.send(head).await.unwrap();
    wire.send(vec![b'{'; 100_000]).await.unwrap();
    let mut visit = visits.next().await;
    visit.head().await;
    visit.body_bytes(100_000).await;
    visit.begin_events().await;
    visit.chunk("data: early\n\n").await;
    assert_eq!(wire.head().await.unwrap().status, 200);
    wire.hears("data: early\n\n").await;
    wire.send("0123456789").await.unwrap();
    assert_eq!(visit.body_bytes(10).await, b"0123456789");
    visit.chunk("data: late\n\n").await;
    wire.hears("data: late\n\n").await;
    visit.chunk("").await;
    wire.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_slowly_slows_the_backend_down() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = ada.get().send().await;
    let (mut visit, _) = visits.request().await;
    visit.begin_events().await;
    wire.head().await.unwrap();
    let written = Arc::new(AtomicUsize::new(0));
    let writing = tokio::spawn({
        let written = written.clone();
        async move {
            let chunk = vec![b'x'; 1 << 20];
            for _ in 0..200 {
                visit.chunk(&chunk).await;
                written.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    // Sockets hold some; the proxy holds no more than they.
    let count = || written.load(Ordering::Relaxed);
    let mut last = usize::MAX;
    eventually("the backend is held back", async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = count();
        std::mem::replace(&mut last, now) == now
    })
    .await;
    assert!(count() < 64, "{} MiB were taken", count());
    writing.abort();
}
