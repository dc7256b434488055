//! What MCP clients ask for to sign in: metadata, registration, tokens. Programs that run in a browser ask
//! as well, from any origin: nothing here looks at a cookie, and every answer is JSON.

use std::any::Any;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, Router};
use http::header::{HeaderMap, RETRY_AFTER};
use http::{Method, StatusCode, Uri};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowHeaders, Any as AnyOrigin, CorsLayer};

use super::Site;
use super::body::{self, Unread};
use super::error::BUSY_SECONDS;
use super::intake::Peer;
use super::visitor::Visitor;
use crate::identity::throttle::Wait;
use crate::oauth::error::{Code, OauthError};
use crate::oauth::registration;
use crate::oauth::token::NoTokens;
use crate::oauth::{RESOURCE_METADATA, metadata};
use crate::turns::Full;

/// What a handler answers.
type Answer = Result<Response, OauthError>;

/// Gives these routes their errors, and their leave for any origin.
pub fn for_any_origin(routes: Router<Site>) -> Router<Site> {
    let cors = CorsLayer::new()
        .allow_origin(AnyOrigin)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(AllowHeaders::mirror_request());
    routes
        .method_not_allowed_fallback(method_not_allowed)
        .route_layer(CatchPanicLayer::custom(panicked))
        .route_layer(cors)
}

pub async fn server_metadata(visitor: Visitor) -> Response {
    Json(metadata::server(visitor.base_url.as_str())).into_response()
}

pub async fn resource_metadata(
    State(site): State<Site>,
    Extension(Peer(peer)): Extension<Peer>,
    uri: Uri,
    headers: HeaderMap,
    visitor: Visitor,
) -> Response {
    let asked = site.config.asked_base_url(peer, &uri, &headers);
    let path = uri.path().strip_prefix(RESOURCE_METADATA).unwrap_or_default();
    let issuer = visitor.base_url.as_str();
    Json(metadata::resource(asked.as_str(), path, uri.query(), issuer)).into_response()
}

pub async fn register(request: Request) -> Answer {
    let client = registration::register(&body::read(request).await?)?;
    Ok((StatusCode::CREATED, Json(client)).into_response())
}

pub async fn token(State(site): State<Site>, visitor: Visitor, request: Request) -> Answer {
    match site.oauth.tokens(&body::read(request).await?).await {
        Ok(tokens) => Ok(Json(tokens).into_response()),
        Err(none) => {
            if none == NoTokens::Unknown
                && let Err(Wait(seconds)) = site.identity.wrong_grant(visitor.source)
            {
                return Err(OauthError::too_many(seconds));
            }
            Err(none.told())
        }
    }
}

pub async fn revoke(State(site): State<Site>, request: Request) -> Answer {
    site.oauth.revoke(&body::read(request).await?).await?;
    Ok(StatusCode::OK.into_response())
}

async fn method_not_allowed() -> OauthError {
    OauthError::new(Code::MethodNotAllowed, "This method is not served here.")
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    let description = "Something failed on our side and was logged. Try again.";
    OauthError::new(Code::ServerError, description).into_response()
}

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<Full> for OauthError {
    fn from(Full: Full) -> Self {
        Self { retry_after: Some(BUSY_SECONDS), ..Self::unavailable() }
    }
}

impl From<Unread> for OauthError {
    fn from(unread: Unread) -> Self {
        let description = match unread {
            Unread::TooLarge => "The request is larger than 8 KB.",
            Unread::Late => "The request did not arrive in time. Send it again.",
            Unread::Broken => "The request did not arrive whole. Send it again.",
        };
        Self::new(Code::InvalidRequest, description)
    }
}
