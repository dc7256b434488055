//! A route of the pages, with the methods that its handlers serve: axum's own router cannot be
//! asked for them, and what is served must be what is listed. It says as well which forms are kept
//! for an owner whose sign-in has ended.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{MethodRouter, any};
use http::Method;

use super::Site;
use super::held::Kept;

/// Every method that [`any`] serves.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::TRACE,
    Method::CONNECT,
];

pub struct Route {
    path: &'static str,
    methods: Vec<Method>,
    handlers: MethodRouter<Site>,
    kept: Option<Kept>,
}

/// A route of this path, without a handler yet.
pub fn at(path: &'static str) -> Route {
    Route { path, methods: Vec::new(), handlers: MethodRouter::new(), kept: None }
}

impl Route {
    pub fn get<H: Handler<T, Site>, T: 'static>(mut self, handler: H) -> Self {
        self.methods.push(Method::GET);
        Self { handlers: self.handlers.get(handler), ..self }
    }

    pub fn post<H: Handler<T, Site>, T: 'static>(mut self, handler: H) -> Self {
        self.methods.push(Method::POST);
        Self { handlers: self.handlers.post(handler), ..self }
    }

    pub fn any<H: Handler<T, Site>, T: 'static>(self, handler: H) -> Self {
        Self { methods: METHODS.to_vec(), handlers: any(handler), ..self }
    }

    /// With a limit for bodies that differs from that of the other routes.
    pub fn limit(self, limit: DefaultBodyLimit) -> Self {
        Self { handlers: self.handlers.layer(limit), ..self }
    }

    /// Whose form is kept where it comes after the sign-in has ended, and is sent once its owner
    /// has signed in again. `does` follows "this will".
    pub fn kept(self, does: &'static str) -> Self {
        Self { kept: Some(Kept { does, asks: false }), ..self }
    }

    /// The same for a form that whoever found the browser must not have sent by an owner who only
    /// signs in: they are asked first.
    pub fn kept_to_ask(self, does: &'static str) -> Self {
        Self { kept: Some(Kept { does, asks: true }), ..self }
    }

    /// Its path, where its form is kept.
    pub fn keeps(&self) -> Option<(&'static str, Kept)> {
        self.kept.map(|kept| (self.path, kept))
    }

    /// Its methods, each with its path.
    pub fn list(self) -> impl Iterator<Item = (Method, String)> {
        self.methods.into_iter().map(move |method| (method, self.path.to_owned()))
    }
}

/// A router of these routes and no others.
pub fn router(routes: Vec<Route>) -> Router<Site> {
    let add = |router: Router<Site>, route: Route| router.route(route.path, route.handlers);
    routes.into_iter().fold(Router::new(), add)
}
