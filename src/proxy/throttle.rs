//! Guessing keys is slowed down by source address; knowing one is not.
//!
//! Thirty unknown keys, wrong codes or unknown events a minute from one address, and
//! further unknown ones are refused. A known key never meets this: a whole room shares
//! one address.

use std::net::{IpAddr, Ipv6Addr};

use dashmap::DashMap;

use crate::net::source_network as network;

const ATTEMPTS_A_MINUTE: u32 = 30;

/// Sources kept at most; when more guess in one minute, the new ones are
/// counted together.
const SOURCES: usize = 65_536;

#[derive(Default)]
pub struct SourceThrottle {
    /// The minute, and the wrong attempts in it.
    attempts: DashMap<IpAddr, (i64, u32)>,
}

impl SourceThrottle {
    /// Counts a wrong attempt; the seconds to wait where there were too many.
    pub fn wrong(&self, source: IpAddr, now_ms: i64) -> Result<(), u64> {
        let minute = now_ms.div_euclid(60_000);
        let mut source = network(source);
        if self.attempts.len() >= SOURCES && !self.attempts.contains_key(&source) {
            source = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        }
        let mut entry = self.attempts.entry(source).or_insert((minute, 0));
        if entry.0 != minute {
            *entry = (minute, 0);
        }
        entry.1 = entry.1.saturating_add(1);
        if entry.1 <= ATTEMPTS_A_MINUTE {
            return Ok(());
        }
        let ends = (minute + 1) * 60_000;
        Err(u64::try_from((ends - now_ms) / 1000).unwrap_or(0).max(1))
    }

    /// Forgets the minutes that have passed.
    pub fn sweep(&self, now_ms: i64) {
        let minute = now_ms.div_euclid(60_000);
        self.attempts.retain(|_, entry| entry.0 == minute);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_31st_wrong_attempt_of_a_minute_waits_for_the_next() {
        let throttle = SourceThrottle::default();
        let source = "192.0.2.1".parse().unwrap();
        for _ in 0..30 {
            assert_eq!(throttle.wrong(source, 60_000), Ok(()));
        }
        assert_eq!(throttle.wrong(source, 80_000), Err(40));
        assert_eq!(throttle.wrong("192.0.2.2".parse().unwrap(), 80_000), Ok(()));
        assert_eq!(throttle.wrong(source, 120_000), Ok(()));
    }
}
