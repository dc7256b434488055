//! Who calls: the owner for whom a token speaks. Nothing else is looked at.

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use secrecy::SecretString;

use super::error::ApiError;
use crate::catalog::audit::Actor;
use crate::catalog::owner::Owner;
use crate::catalog::owner::api_token::Holder;
use crate::clock::Clock;
use crate::identity::api_token::TokenRefusal;
use crate::net;
use crate::portal::Site;
use crate::portal::intake::{Crowd, OwnersTurn, Peer, owners_turn};

/// A program that acts for an owner, by a token of theirs.
pub struct Program {
    holder: Holder,
    clock: Clock,
    _turn: OwnersTurn,
}

impl Program {
    /// The owner as the one who writes, at the present time.
    pub fn actor(&self) -> Actor {
        self.holder.actor(self.clock.now_ms())
    }

    pub fn owner(&self) -> &Owner {
        &self.holder.owner
    }

    pub fn token_name(&self) -> &str {
        &self.holder.token_name
    }

    pub fn owner_id(&self) -> &str {
        &self.holder.owner.id
    }
}

impl FromRequestParts<Site> for Program {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, ApiError> {
        let peer = parts.extensions.get::<Peer>();
        let Peer(peer) = *peer.ok_or_else(|| ApiError::internal("a request without a peer"))?;
        let source = net::source(peer, &parts.headers, &site.config.trusted_proxies);
        let token = token(parts).ok_or_else(ApiError::missing_token)?;
        match site.identity.token_holder(&token, source).await {
            Ok(holder) => {
                let turn = owners_turn(parts, &holder.owner.id, Crowd::Programs).await?;
                Ok(Self { holder, clock: site.clock.clone(), _turn: turn })
            }
            Err(TokenRefusal::Unknown) => Err(ApiError::invalid_token()),
            Err(TokenRefusal::TooMany(wait)) => Err(ApiError::too_many_attempts(wait)),
            Err(TokenRefusal::Catalog(error)) => Err(error.into()),
        }
    }
}

/// RFC 6750, section 2.1; the scheme's case does not matter.
fn token(parts: &Parts) -> Option<SecretString> {
    let mut given = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| SecretString::from(token.trim()))
}
