//! What somebody signs in for at GitHub.

use serde::{Deserialize, Serialize};

use crate::catalog::seal::Place;
use crate::identity::ticket;

pub(super) type Ticket = ticket::Ticket<Journey>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journey {
    /// The event that they sign in to.
    pub event_id: String,
    /// Where on this site they go then, and where they begin again if nothing came of it.
    pub next: String,
}

impl ticket::Journey for Journey {
    const PLACE: Place<'static> = Place { table: "github", row: "sign-in", column: "ticket" };
}
