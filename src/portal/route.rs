//! A route of the pages, with the methods that its handlers serve: axum's own router cannot be
//! asked for them, and what is served must be what is listed.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{MethodRouter, any};
use http::Method;

use super::Site;

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
}

/// A route of this path, without a handler yet.
pub fn at(path: &'static str) -> Route {
    Route { path, methods: Vec::new(), handlers: MethodRouter::new() }
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
