//! The addresses of one name, tried in parallel, so that one that swallows packets
//! does not hold up the others (after RFC 8305). Which addresses the endpoint policy
//! allows, and what an attempt does, is the caller's part.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

/// How long one address is tried alone before the next attempt begins
/// (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);

/// The number of addresses that are tried; who answers for a name decides how many
/// there are.
const MAX_ADDRESSES: usize = 16;

/// The first attempt that succeeds; the others are dropped. Each may take `limit`.
///
/// # Errors
/// The error of the attempt that failed last: [`io::ErrorKind::TimedOut`] where that
/// one took too long, [`io::ErrorKind::NotFound`] where there is no address to try.
pub(crate) async fn first<T, E, A>(
    addresses: Vec<SocketAddr>,
    limit: Duration,
    attempt: impl Fn(SocketAddr) -> A,
) -> Result<T, E>
where
    A: Future<Output = Result<T, E>>,
    E: From<io::Error>,
{
    let attempt = |address| {
        let attempt = tokio::time::timeout(limit, attempt(address));
        async {
            attempt.await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
        }
    };
    let mut left = by_turns(addresses).into_iter();
    let mut last = E::from(io::ErrorKind::NotFound.into());
    let mut under_way = FuturesUnordered::new();
    loop {
        match left.next() {
            Some(address) => under_way.push(attempt(address)),
            None if under_way.is_empty() => return Err(last),
            None => {}
        }
        let ended = match left.len() {
            0 => under_way.next().await,
            _ => tokio::time::timeout(STAGGER, under_way.next()).await.unwrap_or_default(),
        };
        match ended {
            Some(Ok(won)) => return Ok(won),
            Some(Err(error)) => last = error,
            None => {}
        }
    }
}

/// The two families by turns, so that one that is not routed costs little (RFC 8305 §4).
fn by_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else { return addresses };
    let (same, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    let turns = std::iter::from_fn(|| match (same.next(), other.next()) {
        (None, None) => None,
        (one, two) => Some(one.into_iter().chain(two)),
    });
    turns.flatten().take(MAX_ADDRESSES).collect()
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn addresses(listed: &[&str]) -> Vec<SocketAddr> {
        listed.iter().map(|address| address.parse().unwrap()).collect()
    }

    const LIMIT: Duration = Duration::from_secs(5);

    /// What comes of the addresses: those of port 1 swallow everything, those of port
    /// 2 refuse, others connect after 10 ms.
    async fn outcome(listed: &[&str]) -> (Result<SocketAddr, io::ErrorKind>, Duration) {
        let began = Instant::now();
        let attempt = async |address: SocketAddr| match address.port() {
            1 => std::future::pending().await,
            2 => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
            _ => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                Ok(address)
            }
        };
        let won = first(addresses(listed), LIMIT, attempt).await;
        (won.map_err(|error| error.kind()), began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_swallows_everything_delays_the_next_by_a_moment() {
        let good = |address: &str| Ok(address.parse().unwrap());
        let (won, took) = outcome(&["192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:3"]).await;
        assert_eq!(won, good("192.0.2.3:3"));
        assert!(took < 3 * STAGGER, "{took:?}");
        let (won, took) = outcome(&["192.0.2.1:2", "192.0.2.2:2", "192.0.2.3:3"]).await;
        assert_eq!(won, good("192.0.2.3:3"));
        assert!(took < STAGGER, "who refuses is not waited for: {took:?}");
        let (won, _) = outcome(&["192.0.2.1:3", "192.0.2.2:4"]).await;
        assert_eq!(won, good("192.0.2.1:3"));
    }

    #[tokio::test(start_paused = true)]
    async fn each_address_has_its_time_and_no_more() {
        let (won, took) = outcome(&["192.0.2.1:1", "192.0.2.2:1"]).await;
        assert_eq!(won, Err(io::ErrorKind::TimedOut));
        assert!((LIMIT..LIMIT + 2 * STAGGER).contains(&took), "{took:?}");
        assert_eq!(outcome(&["192.0.2.1:2"]).await.0, Err(io::ErrorKind::ConnectionRefused));
        assert_eq!(outcome(&[]).await.0, Err(io::ErrorKind::NotFound));
    }

    #[test]
    fn families_take_turns() {
        let sorted = by_turns(addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "192.0.2.1:1"]));
        assert_eq!(sorted, addresses(&["[::1]:1", "192.0.2.1:1", "[::2]:1", "[::3]:1"]));
        assert_eq!(by_turns(addresses(&["192.0.2.1:1"; 40])).len(), MAX_ADDRESSES);
    }
}
