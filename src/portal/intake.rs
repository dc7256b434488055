//! Admits requests to the portal: a bounded number at once, whose bodies are bounded and
//! have to arrive in time.
//!
//! Visitors, owners and programs have turns of their own, so that visitors keep no owner out, and
//! one network gets only a share of each. A visitor's body is small and is read before it takes
//! a turn, so a stalled body holds none. An owner's body is read once it is known who they are, and
//! one owner gets only a share of the turns.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::Extensions;
use http::request::Parts;
use http_body::Body as _;
use http_body_util::Limited;

use super::Site;
use super::body::{Timed, Unread, gather};
use crate::net::{self, source_network};
use crate::turns::{Bounds, Full, Turn, Turns};

/// The largest form of a visitor: two passwords and a name, percent-encoded.
pub const VISITORS_FORM: usize = 8 * 1024;

/// An owner's: a description, and a list of all their resources.
const OWNERS_FORM: usize = 1024 * 1024;

pub fn owners_form() -> DefaultBodyLimit {
    DefaultBodyLimit::max(OWNERS_FORM)
}

/// The address at the other end of the socket.
#[derive(Clone, Copy)]
pub struct Peer(pub IpAddr);

/// The people or programs that a route serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Crowd {
    /// Anybody: nobody is signed in, or not yet.
    Visitors,
    Owners,
    Programs,
}

/// The turns of all requests.
pub struct Gate {
    /// Visitors whose bodies are arriving.
    arriving: Turns<IpAddr>,
    visitors: Turns<IpAddr>,
    owners: Turns<IpAddr>,
    programs: Turns<IpAddr>,
    /// One owner's, in a browser or by programs.
    each_owner: Turns<(String, Crowd)>,
    /// Files of owners that are arriving or being read. Backups have turns of their own.
    uploads: Turns<String>,
    /// Forms that are read although their owner's sign-in has ended.
    held: Turns<String>,
}

impl Default for Gate {
    fn default() -> Self {
        // Nobody waits: waiting would hold the connection just as long.
        let arriving = Bounds {
            at_once: 4096,
            each: 256,
            waiting: 0,
            waiting_each: 0,
            patience: Duration::ZERO,
        };
        // A room shares one network, and all of it may come at the same moment.
        let bounds = Bounds {
            at_once: 256,
            each: 64,
            waiting: 2048,
            waiting_each: 512,
            patience: Duration::from_secs(5),
        };
        // Whoever gets here already has one of the turns above.
        let each_owner = Bounds { at_once: 512, each: 32, waiting_each: 16, ..bounds };
        Self {
            arriving: Turns::new(arriving),
            visitors: Turns::new(bounds),
            owners: Turns::new(bounds),
            programs: Turns::new(bounds),
            each_owner: Turns::new(each_owner),
            // Each holds as much as its route takes, twice while it is read.
            uploads: Turns::new(Bounds {
                at_once: 16,
                each: 2,
                waiting: 64,
                waiting_each: 4,
                patience: Duration::from_secs(5),
            }),
            // Each holds an owner's form, and again as much while it is sealed.
            held: Turns::new(Bounds {
                at_once: 16,
                each: 2,
                waiting: 64,
                waiting_each: 4,
                patience: Duration::from_secs(5),
            }),
        }
    }
}

impl Gate {
    /// A turn to send a file, which a handler takes before it reads the body.
    ///
    /// # Errors
    /// [`Full`]: too many files are arriving, of this owner or of all.
    pub async fn upload(&self, owner_id: &str) -> Result<UploadTurn, Full> {
        Ok(UploadTurn { _turn: self.uploads.take(&owner_id.to_owned()).await? })
    }
}

/// A turn of a file, until it is read.
pub struct UploadTurn {
    _turn: Turn<String>,
}

/// A turn of a form whose owner's sign-in has ended, until it is kept.
pub struct HeldTurn {
    _turn: Turn<String>,
}

/// Takes a turn to have a form kept, in a browser that was this owner's.
///
/// # Errors
/// [`Full`]: too many forms are arriving, in browsers of this owner or in all.
pub async fn held_turn(extensions: &Extensions, owner_id: &str) -> Result<HeldTurn, Full> {
    let gate = extensions.get::<Arc<Gate>>().ok_or(Full)?;
    Ok(HeldTurn { _turn: gate.held.take(&owner_id.to_owned()).await? })
}

/// A turn of one owner, for as long as their request is answered.
pub struct OwnersTurn {
    _turn: Turn<(String, Crowd)>,
}

/// Takes a turn of the owner who turned out to ask.
///
/// # Errors
/// [`Full`]: this owner has as many requests under way as one may have.
pub async fn owners_turn(parts: &Parts, owner_id: &str, crowd: Crowd) -> Result<OwnersTurn, Full> {
    let gate = parts.extensions.get::<Arc<Gate>>().ok_or(Full)?;
    let turn = gate.each_owner.take(&(owner_id.to_owned(), crowd)).await?;
    Ok(OwnersTurn { _turn: turn })
}

/// The entrance to the routes of a crowd.
#[derive(Clone)]
pub struct Door {
    site: Site,
    gate: Arc<Gate>,
    crowd: Crowd,
}

impl Door {
    pub fn new(site: &Site, gate: &Arc<Gate>, crowd: Crowd) -> Self {
        Self { site: site.clone(), gate: gate.clone(), crowd }
    }
}

/// Lets a request in when it is its turn. `E` is the error of these routes.
///
/// # Errors
/// Too much is under way, or the body could not be read.
pub async fn admit<E: From<Full> + From<Unread>>(
    State(door): State<Door>,
    Extension(Peer(peer)): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Result<Response, E> {
    let source = net::source(peer, request.headers(), &door.site.config.trusted_proxies);
    let source = source_network(source);
    if door.crowd == Crowd::Visitors {
        request = arrived::<E>(&door.gate, source, request).await?;
    }
    let turns = match door.crowd {
        Crowd::Visitors => &door.gate.visitors,
        Crowd::Owners => &door.gate.owners,
        Crowd::Programs => &door.gate.programs,
    };
    let _turn = turns.take(&source).await?;
    request.extensions_mut().insert(door.gate.clone());
    Ok(next.run(request.map(|body| Body::new(Timed::new(body)))).await)
}

/// A visitor's request, once its body is here.
async fn arrived<E: From<Full> + From<Unread>>(
    gate: &Gate,
    source: IpAddr,
    request: Request,
) -> Result<Request, E> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let _turn = gate.arriving.take(&source).await?;
    let (head, body) = request.into_parts();
    let body = gather(Limited::new(Timed::new(body), VISITORS_FORM)).await?;
    Ok(Request::from_parts(head, Body::from(body)))
}
