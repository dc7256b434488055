//! The list of an owner's resources.

use askama::Template;
use axum::extract::{Query, State};
use serde::Deserialize;

use super::health::Cell;
use crate::catalog::resource::{self, Resource};
use crate::catalog::{Rows, Unreadable};
use crate::portal::Site;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;

#[derive(Template)]
#[template(path = "admin/resources/list.html")]
struct List<'a> {
    frame: Frame,
    /// What is looked for, as it was typed.
    query: &'a str,
    /// Whether there are none at all, found or not.
    is_empty: bool,
    rows: Vec<Row>,
    unreadable: Vec<Unreadable>,
}

struct Row {
    id: String,
    name: String,
    deployment: String,
    kind: &'static str,
    region: String,
    active: bool,
    events: Vec<String>,
    health: Cell,
}

impl Row {
    fn holds(&self, query: &str) -> bool {
        let fields = [&self.name, &self.deployment, self.kind, &self.region];
        fields.iter().any(|field| field.to_lowercase().contains(query))
    }
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    q: String,
}

pub async fn show(State(site): State<Site>, me: SignedIn, Query(asked): Query<Asked>) -> Answer {
    let Rows { read: resources, unreadable } =
        resource::all(&site.db, &site.vault, &me.owner.id).await?;
    let mut users = resource::users(&site.db, &me.owner.id).await?;
    let now = site.clock.now_ms();
    let row = |resource: Resource| Row {
        health: Cell::of(&resource, site.health.of(&resource), now),
        events: users.remove(&resource.id).unwrap_or_default(),
        deployment: resource.deployment.to_string(),
        kind: resource.kind.label(),
        id: resource.id,
        name: resource.name,
        region: resource.region,
        active: resource.active,
    };
    let is_empty = resources.is_empty() && unreadable.is_empty();
    let mut rows: Vec<Row> = resources.into_iter().map(row).collect();
    let query = asked.q.trim();
    rows.retain(|row| row.holds(&query.to_lowercase()));
    rows.sort_by_cached_key(|row| (row.name.to_lowercase(), row.deployment.to_lowercase()));
    page::ok(&List { frame: me.frame(Section::Resources), query, is_empty, rows, unreadable })
}
