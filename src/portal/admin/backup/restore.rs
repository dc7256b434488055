//! The way back: a file is uploaded and opened, a page says what restoring it would do,
//! and a button does it.

use std::sync::Arc;

use askama::Template;
use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Redirect};
use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;

use super::{Backup, PATH};
use crate::backup::archive::{Archive, quoted};
use crate::backup::plan::{EventFate, Plan, ResourceFate};
use crate::backup::{self, BackupTurn, Done, Error, MAX_FILE};
use crate::clock::rfc3339;
use crate::portal::Site;
use crate::portal::body::Unread;
use crate::portal::confirmed::{Confirmed, Guarded};
use crate::portal::error::PageError;
use crate::portal::flash::Flash;
use crate::portal::form::Problems;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::upload::Upload;
use crate::portal::visitor::SignedIn;

/// Rows of each list that a page shows; their number it shows always.
const SHOWN: usize = 50;

/// For the route of uploads: the file, and what a form wraps it in. The others keep the
/// small limit.
pub fn upload_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(MAX_FILE + 64 * 1024)
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Opens what was sent and keeps it for this session. Nothing is restored by that.
pub async fn upload(State(site): State<Site>, me: SignedIn, Upload(form): Upload) -> Answer {
    let turn = match site.backups.turn(&me.owner.id).await {
        Ok(turn) => turn,
        Err(busy) => {
            let problems = Problems::one("file", format!("was not read: {busy}"));
            let page = Backup { restore: problems, ..Backup::of(&me) };
            return page::with_status(StatusCode::SERVICE_UNAVAILABLE, &page);
        }
    };
    let problems = match read(form).await {
        Ok(typed) => match take_in(&site, &me, &turn, typed).await {
            Ok(id) => return Ok(Redirect::to(&format!("{PATH}/restore/{id}")).into_response()),
            Err(Error::Catalog(error)) => return Err(error.into()),
            Err(Error::Failed) => return Err(PageError::internal(Error::Failed)),
            Err(error) => Problems::one("file", error.to_string()),
        },
        Err(error) => match Unread::of(&error) {
            Unread::TooLarge => {
                Problems::one("file", format!("is larger than {} MiB", MAX_FILE >> 20))
            }
            unread => return Err(unread.into()),
        },
    };
    page::unprocessable(&Backup { restore: problems, ..Backup::of(&me) })
}

#[derive(Default)]
struct Typed {
    file: Vec<u8>,
    passphrase: SecretString,
}

async fn read(mut form: Multipart) -> Result<Typed, MultipartError> {
    let mut typed = Typed::default();
    while let Some(field) = form.next_field().await? {
        match field.name() {
            Some("file") => typed.file = field.bytes().await?.into(),
            Some("file_passphrase") => typed.passphrase = field.text().await?.into(),
            _ => {}
        }
    }
    Ok(typed)
}

async fn take_in(
    site: &Site,
    me: &SignedIn,
    turn: &BackupTurn,
    typed: Typed,
) -> Result<String, Error> {
    let archive =
        site.backups.open(turn, typed.file, &typed.passphrase, site.clock.now_ms()).await?;
    backup::keep(&site.db, &site.vault, &me.actor(), me.session().id(), Arc::new(archive)).await
}

#[derive(Template)]
#[template(path = "admin/restore.html")]
struct Preview {
    frame: Frame,
    id: String,
    mark: String,
    source: String,
    made_at: String,
    resources: Vec<(String, &'static str, String)>,
    resource_count: usize,
    events: Vec<EventRow>,
    event_count: usize,
    /// What the file holds, counted in words.
    holds: String,
    /// Attendees who get a new key, in words; empty where all keep theirs.
    new_keys: String,
    /// Cards that do not come back, in words; empty where all do.
    lost_cards: String,
    /// Names of events whose personal data was removed here, and would come back.
    names_back: Vec<String>,
    notes: Vec<String>,
    note_count: usize,
    /// Whether another plan was shown before, which does not hold any more.
    has_changed: bool,
}

struct EventRow {
    name: String,
    id: String,
    window: String,
    attendees: usize,
    fate: EventFate,
}

pub async fn preview(State(site): State<Site>, me: SignedIn, Path(id): Path<String>) -> Answer {
    page::ok(&Preview::of(&site, &me, id, false).await?)
}

impl Preview {
    async fn of(
        site: &Site,
        me: &SignedIn,
        id: String,
        has_changed: bool,
    ) -> Result<Self, PageError> {
        let _turn = turn(site, me).await?;
        let archive = waiting(site, me, &id).await?;
        let mut connection = site.db.pool().acquire().await.map_err(crate::catalog::Error::from)?;
        let plan = Plan::draw(&mut connection, &site.vault, &me.actor(), &archive).await?;
        let notes = archive.notes.iter().take(SHOWN);
        Ok(Self {
            frame: me.frame(Section::Backup),
            id,
            mark: plan.mark(),
            source: quoted(&archive.source),
            made_at: rfc3339(archive.made_at - archive.made_at.rem_euclid(1000)),
            resources: resource_rows(&archive, &plan),
            resource_count: archive.resources.len(),
            events: event_rows(&archive, &plan),
            event_count: archive.events.len(),
            holds: format!(
                "{}, {}, {} and {}",
                counted(archive.events.len(), "event", "events"),
                counted(archive.resources.len(), "resource", "resources"),
                counted(archive.attendees.len(), "attendee", "attendees"),
                counted(archive.usage.len(), "row of figures", "rows of figures"),
            ),
            new_keys: match plan.new_keys.len() {
                0 => String::new(),
                count => counted(count, "attendee gets", "attendees get"),
            },
            lost_cards: match plan.lost_cards.len() {
                0 => String::new(),
                count => counted(count, "card stays", "cards stay"),
            },
            names_back: (archive.events.iter().enumerate())
                .filter(|(at, _)| plan.names_back.contains(at))
                .map(|(_, copy)| copy.fields.name.clone())
                .collect(),
            notes: notes.map(|note| note.chars().take(400).collect()).collect(),
            note_count: archive.notes.len(),
            has_changed,
        })
    }
}

fn resource_rows(archive: &Archive, plan: &Plan) -> Vec<(String, &'static str, String)> {
    let row = |(copy, fate): (&crate::backup::archive::ResourceCopy, &ResourceFate)| {
        let text = match fate {
            ResourceFate::Made if copy.active => "will be made".to_owned(),
            ResourceFate::Made => "will be made, switched off".to_owned(),
            ResourceFate::Renamed(name) => {
                format!("will be made as {name}: you have another resource of this name")
            }
            ResourceFate::Present { .. } => {
                "is there already, stays as it is and is linked".to_owned()
            }
        };
        let kind = copy.kind.parse::<crate::catalog::resource::ResourceType>();
        (copy.deployment.clone(), kind.map_or("", |kind| kind.as_str()), text)
    };
    archive.resources.iter().zip(&plan.resources).take(SHOWN).map(row).collect()
}

fn event_rows(archive: &Archive, plan: &Plan) -> Vec<EventRow> {
    let events = archive.events.iter().zip(&plan.events).take(SHOWN);
    let row = |(copy, fate): (&crate::backup::archive::EventCopy, &EventFate)| {
        let attendees = archive.attendees.iter().filter(|attendee| attendee.event == copy.id);
        let fields = &copy.fields;
        let (start, end) = (fields.start.replace('T', " "), fields.end.replace('T', " "));
        EventRow {
            name: fields.name.clone(),
            id: copy.id.clone(),
            window: format!("{start} – {end}, {}", fields.time_zone),
            attendees: attendees.count(),
            fate: *fate,
        }
    };
    events.map(row).collect()
}

/// # Errors
/// [`PageError::Busy`]: a file of theirs is being read, or too many are.
async fn turn(site: &Site, me: &SignedIn) -> Result<BackupTurn, PageError> {
    site.backups.turn(&me.owner.id).await.map_err(|_| PageError::Busy)
}

/// # Errors
/// [`PageError::NotFound`] where this session has nothing waiting under the id.
async fn waiting(site: &Site, me: &SignedIn, id: &str) -> Result<Arc<Archive>, PageError> {
    let found = backup::find(&site.db, &site.vault, &me.actor(), me.session().id(), id).await;
    match found {
        Ok(found) => found.ok_or(PageError::NotFound),
        Err(Error::Catalog(error)) => Err(error.into()),
        Err(error) => Err(PageError::internal(error)),
    }
}

#[derive(Deserialize)]
pub struct Confirmation {
    /// Of the plan that was shown.
    mark: String,
}

impl Guarded for Confirmation {
    const DOES: &'static str = "restore what the file holds";
    const SECTION: Section = Section::Backup;
}

pub async fn confirm(
    State(site): State<Site>,
    Path(id): Path<String>,
    Confirmed { me, typed }: Confirmed<Confirmation>,
) -> Answer {
    let turn = turn(&site, &me).await?;
    let archive = waiting(&site, &me, &id).await?;
    let (there, by) = (site.clone(), me.actor());
    // A task of its own: it runs to its end, or is taken back, also if the browser leaves.
    let done = tokio::spawn(async move {
        let done =
            backup::restore(&there.db, &there.vault, &there.clock, &by, &archive, &typed.mark)
                .await;
        drop((archive, turn));
        done
    });
    match done.await.map_err(PageError::internal)? {
        Ok(Some(done)) => {
            forget(&site, &me).await?;
            me.done(&site, PATH, Flash::done(say(&done))).await
        }
        Ok(None) => {
            page::with_status(StatusCode::CONFLICT, &Preview::of(&site, &me, id, true).await?)
        }
        Err(Error::Catalog(error)) => Err(error.into()),
        Err(error) => Err(PageError::internal(error)),
    }
}

pub async fn discard(State(site): State<Site>, me: SignedIn, Path(id): Path<String>) -> Answer {
    let turn = turn(&site, &me).await?;
    waiting(&site, &me, &id).await?;
    drop(turn);
    forget(&site, &me).await?;
    me.done(&site, PATH, Flash::done("The file is forgotten; nothing was restored.")).await
}

async fn forget(site: &Site, me: &SignedIn) -> Result<(), PageError> {
    match backup::discard(&site.db, &me.actor()).await {
        Ok(()) => Ok(()),
        Err(Error::Catalog(error)) => Err(error.into()),
        Err(error) => Err(PageError::internal(error)),
    }
}

fn say(done: &Done) -> String {
    let mut text = format!(
        "Restored: {}, {}, {}, {}.",
        counted(done.events, "event", "events"),
        counted(done.resources, "new resource", "new resources"),
        counted(done.attendees, "attendee", "attendees"),
        counted(done.usage, "row of figures", "rows of figures"),
    );
    if done.new_ids > 0 {
        let events = counted(done.new_ids, "event has", "events have");
        text.push_str(&format!(" {events} a new id."));
    }
    if done.new_keys > 0 {
        let attendees = counted(done.new_keys, "attendee has", "attendees have");
        text.push_str(&format!(" {attendees} a new key: hand it out again."));
    }
    text
}
