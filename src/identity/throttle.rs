//! Guessing passwords is slowed down three ways, each with a limit of its own in
//! ten minutes: by account, by address, and by browser that has signed in as
//! that account before.
//!
//! Such a browser is counted by itself only. So neither a neighbour behind the
//! same address nor somebody who guesses at the account keeps its owner out.
//! Counts are this process's; each replica allows as many.

use std::fmt;
use std::net::IpAddr;

use dashmap::DashMap;

use crate::catalog::Digest;
use crate::clock::now_ms;
use crate::net::source_network;

const WINDOW_MS: i64 = 10 * 60_000;

/// Buckets kept at most; beyond it, new ones are counted together.
const BUCKETS: usize = 65_536;

/// What attempts are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// Digest of the account's name, as it was typed.
    Account(Digest),
    Address(IpAddr),
    Browser(Digest),
    /// An address that sends tokens of the API.
    Token(IpAddr),
    Overflow,
}

impl Bucket {
    pub fn account(name: &str) -> Self {
        Bucket::Account(Digest::sha256(name.trim().to_lowercase().as_bytes()))
    }

    pub fn address(source: IpAddr) -> Self {
        Bucket::Address(source_network(source))
    }

    /// Apart from sign-ins: a script with an old token must not keep people out.
    pub fn token(source: IpAddr) -> Self {
        Bucket::Token(source_network(source))
    }

    fn limit(self) -> u32 {
        match self {
            Bucket::Account(_) | Bucket::Browser(_) => 10,
            // A room shares one address.
            Bucket::Address(_) | Bucket::Token(_) => 60,
            Bucket::Overflow => 600,
        }
    }
}

#[derive(Default)]
pub struct Throttle {
    /// When the window began, and the attempts in it.
    attempts: DashMap<Bucket, (i64, u32)>,
}

/// Seconds until another attempt is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait(pub u64);

/// For people: nobody counts 540 seconds down.
impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("a second"),
            seconds @ ..=90 => write!(f, "{seconds} seconds"),
            seconds => write!(f, "{} minutes", seconds.div_ceil(60)),
        }
    }
}

impl Throttle {
    /// Counts an attempt before it is known whether it is right, so that many at
    /// once do not pass together.
    pub fn attempt(&self, buckets: &[Bucket]) -> Result<(), Wait> {
        self.attempt_at(buckets, now_ms())
    }

    /// Takes an attempt back that turned out to be right.
    pub fn forgive(&self, buckets: &[Bucket]) {
        for bucket in buckets {
            if let Some(mut entry) = self.attempts.get_mut(bucket) {
                entry.1 = entry.1.saturating_sub(1);
            }
        }
    }

    fn attempt_at(&self, buckets: &[Bucket], now: i64) -> Result<(), Wait> {
        let mut wait = None;
        for bucket in buckets {
            let bucket = self.place(*bucket, now);
            let mut entry = self.attempts.entry(bucket).or_insert((now, 0));
            if now - entry.0 >= WINDOW_MS {
                *entry = (now, 0);
            }
            if entry.1 >= bucket.limit() {
                let ms = (entry.0 + WINDOW_MS - now).max(1).cast_unsigned();
                wait = wait.max(Some(ms.div_ceil(1000)));
            } else {
                entry.1 += 1;
            }
        }
        wait.map_or(Ok(()), |seconds| Err(Wait(seconds)))
    }

    fn place(&self, bucket: Bucket, now: i64) -> Bucket {
        if self.attempts.len() < BUCKETS || self.attempts.contains_key(&bucket) {
            return bucket;
        }
        self.attempts.retain(|_, entry| now - entry.0 < WINDOW_MS);
        if self.attempts.len() < BUCKETS { bucket } else { Bucket::Overflow }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_11th_guess_at_an_account_waits_from_wherever_it_comes() {
        let throttle = Throttle::default();
        let account = Bucket::account("Ada");
        for n in 0..10_u8 {
            let from = Bucket::address([192, 0, 2, n].into());
            assert_eq!(throttle.attempt_at(&[account, from], 0), Ok(()));
        }
        assert_eq!(throttle.attempt_at(&[Bucket::account(" ada ")], 60_000), Err(Wait(540)));
        assert_eq!(throttle.attempt_at(&[Bucket::account("Bob")], 60_000), Ok(()));
        assert_eq!(throttle.attempt_at(&[account], WINDOW_MS), Ok(()));
    }

    #[test]
    fn what_was_right_is_not_held_against_anybody() {
        let throttle = Throttle::default();
        let room = [Bucket::address([192, 0, 2, 1].into())];
        for _ in 0..1000 {
            assert_eq!(throttle.attempt_at(&room, 0), Ok(()));
            throttle.forgive(&room);
        }
    }

    #[test]
    fn a_wait_is_told_in_the_unit_that_people_count_in() {
        for (seconds, told) in
            [(1, "a second"), (90, "90 seconds"), (91, "2 minutes"), (600, "10 minutes")]
        {
            assert_eq!(Wait(seconds).to_string(), told);
        }
    }
}
