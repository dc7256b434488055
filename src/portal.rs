//! The face: pages of owners under `/admin`, in HTML that works without
//! JavaScript, and [`api`], the same for programs. Runs on the control runtime, apart from the calls of attendees.
//!
//! **To add a page**, four things, and no fifth:
//! 1. *Handler* in `src/portal/admin/<noun>.rs` (a folder where one file would
//!    pass 150 lines). It takes `State<Site>` and [`SignedIn`](visitor::SignedIn)
//!    or [`Administrator`](visitor::Administrator), asks the catalog as
//!    `me.actor()` or `me.owner.id`, and returns [`page::Answer`]: errors of the
//!    catalog become pages by `?` ([`error::PageError`] is the only such map).
//! 2. *Template* of the same path, `templates/admin/<noun>.html`: a struct that
//!    derives `askama::Template`, has a field `frame: Frame` from `me.frame(…)`, and
//!    extends `layout.html`. Fields of forms are macros of `form.html`.
//! 3. *Route* in `routes.rs`, where all of them are.
//! 4. *Test* in `tests/portal/<noun>.rs`, as a visitor with a browser would.
//!
//! **A write** is a POST whose fields arrive as they were typed, in a
//! [`form::Form`] of `String`s. If the catalog finds one invalid, the same page
//! is shown again as [`page::unprocessable`] with [`form::Problems`] beside the
//! fields; else `me.done(&site, "/admin/…", Flash::done("…"))` says on the next page what
//! was done. What a browser that was left alone must not do takes its fields as
//! [`confirmed::Confirmed`]. A form into which people type says so at its route
//! (`route::Route::kept`): it waits where their sign-in has ended. Nothing secret is in a
//! URL: a flash may carry one. What destroys asks first, on a page of its own that
//! `data-dialog` on the link shows as a dialog.

#![expect(
    unreachable_pub,
    reason = "its rooms are private: `pub` in one is what the others may use"
)]

mod admin;
pub(crate) mod api;
mod assets;
mod attendee;
mod body;
mod confirmed;
mod download;
mod error;
mod fallback;
mod filters;
mod flash;
mod form;
mod front_end;
mod held;
mod html;
mod intake;
mod markdown;
mod merge;
mod oauth;
mod page;
mod route;
mod routes;
mod terms;
mod times;
mod upload;
mod visitor;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Method, Request, Response, StatusCode};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio::runtime::Handle;

use self::intake::Peer;
use crate::app::App;
use crate::proxy::client_body::ClientBody;

/// What handlers share.
pub type Site = Arc<App>;

/// Each method and path of the portal, pages and API. Parameters of a path are in braces.
pub fn routes() -> Vec<(Method, String)> {
    routes::all()
}

/// The portal as `server` serves it.
#[derive(Clone)]
pub struct Portal {
    router: Router,
    control: Handle,
}

impl Portal {
    /// # Errors
    /// The public URL cannot be a browser's origin.
    pub fn new(app: Arc<App>) -> anyhow::Result<Self> {
        Ok(Self { control: app.plane.control.runtime().clone(), router: routes::router(app)? })
    }

    /// Answers on the control runtime, to the end even if the client leaves.
    pub async fn serve(&self, peer: IpAddr, request: Request<ClientBody>) -> Response<Body> {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        let service = TowerToHyperService::new(self.router.clone());
        match self.control.spawn(async move { service.call(request).await }).await {
            Ok(Ok(response)) => response,
            // The router is infallible and catches panics; only a runtime that
            // shuts down ends here.
            _ => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                response
            }
        }
    }
}
