//! A PostgreSQL database for one test.

use std::net::SocketAddr;

use url::Url;
use uuid::Uuid;

use crate::postgres;

/// An empty database. It goes with the server, which is thrown away.
pub struct Database {
    url: Url,
}

impl Database {
    pub async fn create() -> Self {
        Self { url: postgres::create(&format!("it_{}", Uuid::now_v7().simple())).await }
    }

    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// Where the server listens, for a [`Relay`](super::relay::Relay) in front of it.
    pub async fn addr(&self) -> SocketAddr {
        let host = self.url.host_str().expect("a PostgreSQL on TCP");
        let port = self.url.port().unwrap_or(5432);
        let mut found = tokio::net::lookup_host((host, port)).await.expect("its address");
        found.next().expect("an address")
    }

    /// The same database by way of `addr`.
    pub fn url_by(&self, addr: SocketAddr) -> Url {
        let mut url = self.url();
        url.set_ip_host(addr.ip()).expect("an http-like URL");
        url.set_port(Some(addr.port())).expect("an http-like URL");
        url
    }
}
