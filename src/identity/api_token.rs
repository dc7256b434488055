//! A program that shows a token of the API: whom it speaks for.

use std::net::IpAddr;

use secrecy::SecretString;

use super::Identity;
use super::throttle::{Bucket, Wait};
use crate::catalog;
use crate::catalog::owner::api_token::{self, Holder};

/// Why a token is not taken.
#[derive(Debug)]
pub enum TokenRefusal {
    /// It is no token, or not any more.
    Unknown,
    /// As above, and too many such came from there.
    TooMany(Wait),
    Catalog(catalog::Error),
}

impl Identity {
    /// Whom the token speaks for. Only wrong ones are counted against `source`, and only
    /// wrong ones are refused for it: a room shares one address, and a token cannot be
    /// guessed anyhow.
    pub async fn token_holder(
        &self,
        token: &SecretString,
        source: IpAddr,
    ) -> Result<Holder, TokenRefusal> {
        let now = self.clock.now_ms();
        match api_token::holder(&self.db, token, now).await {
            Ok(Some(holder)) => Ok(holder),
            Ok(None) => Err(match self.throttle.attempt(&[Bucket::token(source)], now) {
                Ok(()) => TokenRefusal::Unknown,
                Err(wait) => TokenRefusal::TooMany(wait),
            }),
            Err(error) => Err(TokenRefusal::Catalog(error)),
        }
    }
}
