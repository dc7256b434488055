//! Guessing passwords is slowed down three ways, each with a limit of its own in
//! ten minutes: by account, by address, and by browser that has signed in as
//! that account before.
//!
//! Such a browser is counted by itself only. So neither a neighbour behind the
//! same address nor somebody who guesses at the account keeps its owner out.
//! Each replica counts for itself. Each kind has a table of fixed size, so nothing grows and
//! nothing is forgotten early, whatever is typed and from wherever.

mod counters;

use std::fmt;
use std::net::IpAddr;

use parking_lot::Mutex;

use self::counters::Counters;
use crate::catalog::Digest;
use crate::net::source_network;

/// What attempts are counted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bucket {
    /// The account's name as it was typed, whether there is such an account or not.
    Account(String),
    /// An address from which people sign in with passwords.
    Address(IpAddr),
    Browser(Digest),
    /// An owner who is signed in, and is asked for the password once more.
    Owner(String),
    /// An address that comes back from Microsoft.
    Microsoft(IpAddr),
    /// An address that comes back from GitHub.
    GitHub(IpAddr),
    /// An address that sends tokens of the API.
    Token(IpAddr),
    /// An address that sends codes of cards.
    Card(IpAddr),
    /// An address from which MCP clients send codes and refresh tokens.
    Grant(IpAddr),
}

impl Bucket {
    pub(super) fn account(name: &str) -> Self {
        Bucket::Account(name.trim().to_lowercase())
    }

    pub(super) fn address(source: IpAddr) -> Self {
        Bucket::Address(source_network(source))
    }

    pub(super) fn microsoft(source: IpAddr) -> Self {
        Bucket::Microsoft(source_network(source))
    }

    pub(super) fn github(source: IpAddr) -> Self {
        Bucket::GitHub(source_network(source))
    }

    /// Apart from sign-ins: a script with an old token must not keep people out.
    pub(super) fn token(source: IpAddr) -> Self {
        Bucket::Token(source_network(source))
    }

    pub(super) fn card(source: IpAddr) -> Self {
        Bucket::Card(source_network(source))
    }

    pub(super) fn grant(source: IpAddr) -> Self {
        Bucket::Grant(source_network(source))
    }
}

/// Attempts at passwords, tokens and card codes, counted by who makes them.
pub(super) struct AttemptThrottle {
    /// Under one lock, so that several counters are looked at and counted up as one.
    tables: Mutex<Tables>,
}

struct Tables {
    accounts: Counters,
    addresses: Counters,
    browsers: Counters,
    owners: Counters,
    microsoft: Counters,
    github: Counters,
    tokens: Counters,
    cards: Counters,
    grants: Counters,
}

const WINDOW_MS: i64 = 10 * 60_000;

impl Default for AttemptThrottle {
    fn default() -> Self {
        let of = |limit| Counters::new(limit, WINDOW_MS);
        // A room shares one address.
        Self {
            tables: Mutex::new(Tables {
                accounts: of(10),
                addresses: of(60),
                browsers: of(10),
                owners: of(10),
                microsoft: of(60),
                // As many as may be on their way back at once, and some that failed.
                github: of(120),
                tokens: of(60),
                cards: Counters::new(30, 60_000),
                // A store that was lost has the clients of a whole room send old ones at once.
                grants: Counters::new(300, 60_000),
            }),
        }
    }
}

impl Tables {
    /// The table of a bucket, and its counter there.
    fn find(&mut self, bucket: &Bucket) -> (&mut Counters, usize) {
        let table = match bucket {
            Bucket::Account(_) => &mut self.accounts,
            Bucket::Address(_) => &mut self.addresses,
            Bucket::Browser(_) => &mut self.browsers,
            Bucket::Owner(_) => &mut self.owners,
            Bucket::Microsoft(_) => &mut self.microsoft,
            Bucket::GitHub(_) => &mut self.github,
            Bucket::Token(_) => &mut self.tokens,
            Bucket::Card(_) => &mut self.cards,
            Bucket::Grant(_) => &mut self.grants,
        };
        let at = match bucket {
            Bucket::Account(text) | Bucket::Owner(text) => table.place(text.as_bytes()),
            Bucket::Browser(digest) => table.place(digest.as_bytes()),
            Bucket::Address(address)
            | Bucket::Microsoft(address)
            | Bucket::GitHub(address)
            | Bucket::Token(address)
            | Bucket::Card(address)
            | Bucket::Grant(address) => table.place(address),
        };
        (table, at)
    }
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

impl AttemptThrottle {
    /// Counts an attempt before it is known whether it is right, so that many at
    /// once do not pass together. One that a bucket refuses is counted in none: a source at
    /// its limit cannot use up the attempts of an account.
    pub(super) fn attempt(&self, buckets: &[Bucket], now: i64) -> Result<(), Wait> {
        let mut tables = self.tables.lock();
        let mut wait = None;
        for bucket in buckets {
            let (table, at) = tables.find(bucket);
            wait = wait.max(table.wait(at, now));
        }
        if let Some(ms) = wait {
            return Err(Wait(ms.div_ceil(1000)));
        }
        for bucket in buckets {
            let (table, at) = tables.find(bucket);
            table.count(at, now);
        }
        Ok(())
    }

    /// Takes an attempt back that turned out to be right.
    pub(super) fn forgive(&self, buckets: &[Bucket]) {
        let mut tables = self.tables.lock();
        for bucket in buckets {
            let (table, at) = tables.find(bucket);
            table.take_back(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    #[test]
    fn the_11th_guess_at_an_account_waits_from_wherever_it_comes() {
        let throttle = AttemptThrottle::default();
        let account = Bucket::account("Ada");
        for n in 0..10_u8 {
            let from = Bucket::address([192, 0, 2, n].into());
            assert_eq!(throttle.attempt(&[account.clone(), from], 0), Ok(()));
        }
        assert_eq!(throttle.attempt(&[Bucket::account(" ada ")], 60_000), Err(Wait(540)));
        assert_eq!(throttle.attempt(&[Bucket::account("Bob")], 60_000), Ok(()));
        assert_eq!(throttle.attempt(&[account], WINDOW_MS), Ok(()));
    }

    #[test]
    fn what_is_refused_is_not_counted() {
        let throttle = AttemptThrottle::default();
        let from = Bucket::address(at(1));
        for n in 0..60 {
            let account = Bucket::account(&format!("made up {n}"));
            assert_eq!(throttle.attempt(&[account, from.clone()], 0), Ok(()));
        }
        // From an address at its limit, nobody's account is used up, however often it tries.
        let account = Bucket::account("Ada");
        for _ in 0..100 {
            assert!(throttle.attempt(&[account.clone(), from.clone()], 0).is_err());
        }
        for n in 0..10 {
            let from = Bucket::address(at(100 + n));
            assert_eq!(throttle.attempt(&[account.clone(), from], 0), Ok(()));
        }
        // Nor an address by an account at its limit.
        let from = Bucket::address(at(2));
        for _ in 0..100 {
            assert!(throttle.attempt(&[account.clone(), from.clone()], 0).is_err());
        }
        assert_eq!(throttle.attempt(&[Bucket::account("Bob"), from], 0), Ok(()));
    }

    #[test]
    fn made_up_names_and_addresses_keep_out_no_known_browser_and_nobody_of_microsofts() {
        let throttle = AttemptThrottle::default();
        for n in 0..700_000 {
            let made_up = [Bucket::account(&n.to_string()), Bucket::address(at(n))];
            let _ = throttle.attempt(&made_up, 0);
        }
        let known = Bucket::Browser(Digest::sha256(b"Ada's"));
        assert_eq!(throttle.attempt(&[known], 0), Ok(()));
        assert_eq!(throttle.attempt(&[Bucket::microsoft(at(1))], 0), Ok(()));
        assert_eq!(throttle.attempt(&[Bucket::Owner("Ada".to_owned())], 0), Ok(()));
        assert_eq!(throttle.attempt(&[Bucket::token(at(1))], 0), Ok(()));
    }

    #[test]
    fn what_was_right_is_not_held_against_anybody() {
        let throttle = AttemptThrottle::default();
        let room = [Bucket::address([192, 0, 2, 1].into())];
        for _ in 0..1000 {
            assert_eq!(throttle.attempt(&room, 0), Ok(()));
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
