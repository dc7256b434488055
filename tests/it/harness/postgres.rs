//! A PostgreSQL database for one test, made on the server that `make test` starts.

use std::net::SocketAddr;

use sqlx::{Connection, PgConnection};
use url::Url;
use uuid::Uuid;

/// An empty database. It goes with the server, which is thrown away.
pub struct Database {
    name: String,
    admin: Url,
}

impl Database {
    pub async fn create() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "where the test server is, is no setting of the proxy"
        )]
        let admin = std::env::var("AI_PROXY_TEST_POSTGRES").expect(
            "AI_PROXY_TEST_POSTGRES names no PostgreSQL: run `make test`, which starts one",
        );
        let admin = Url::parse(&admin).expect("AI_PROXY_TEST_POSTGRES is a URL");
        let name = format!("it_{}", Uuid::now_v7().simple());
        let database = Self { name, admin };
        database.order(&format!("create database {}", database.name)).await;
        database
    }

    pub fn url(&self) -> Url {
        let mut url = self.admin.clone();
        url.set_path(&self.name);
        url
    }

    /// Where the server listens, for a [`Relay`](super::relay::Relay) in front of it.
    pub async fn addr(&self) -> SocketAddr {
        let host = self.admin.host_str().expect("a PostgreSQL on TCP");
        let port = self.admin.port().unwrap_or(5432);
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

    async fn order(&self, sql: &str) {
        let mut connection =
            PgConnection::connect(self.admin.as_str()).await.expect("PostgreSQL answers");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.expect(sql);
    }
}
