//! Attendees in bulk: for a number of people, or for names that are pasted or come
//! in a spreadsheet's file.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{DefaultBodyLimit, Path, State};

use super::{Asked, list, path};
use crate::catalog::Result;
use crate::catalog::attendee::{self, Issued};
use crate::catalog::validate::invalid;
use crate::portal::Site;
use crate::portal::body::Unread;
use crate::portal::flash::Flash;
use crate::portal::form::Problems;
use crate::portal::intake::Gate;
use crate::portal::page::{self, Answer};
use crate::portal::upload::Upload;
use crate::portal::visitor::SignedIn;
use crate::spreadsheet;

/// Bytes of the form at most, with a file of names.
const LARGEST: usize = 2 * 1024 * 1024;

pub fn upload_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(LARGEST)
}

/// What the form holds, as it was typed.
#[derive(Default)]
pub struct Issue {
    pub count: String,
    pub names: String,
    /// None where none was chosen.
    file: Option<Bytes>,
}

impl Issue {
    async fn read(mut form: Multipart) -> Result<Self, MultipartError> {
        let mut typed = Self::default();
        while let Some(field) = form.next_field().await? {
            match field.name() {
                Some("count") => typed.count = field.text().await?,
                Some("names") => typed.names = field.text().await?,
                Some("file") if field.file_name().is_some_and(|name| !name.is_empty()) => {
                    typed.file = Some(field.bytes().await?);
                }
                _ => {}
            }
        }
        Ok(typed)
    }

    /// Moves the names of the file to those that were typed, where they can be mended.
    fn take_file(&mut self) -> Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let names = spreadsheet::first_column(&file).map_err(|reason| invalid("file", reason))?;
        if names.is_empty() {
            return Err(invalid("file", "holds no names in its first column"));
        }
        self.names = format!("{}\n{}", self.names.trim_end(), names.join("\n")).trim().to_owned();
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        let lines = self.names.trim_start_matches('\u{feff}').lines().map(str::trim);
        lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// Nothing typed: as many as there are names.
    fn count(&self, names: usize) -> Result<u32> {
        let count = match self.count.trim() {
            "" if names == 0 => {
                return Err(invalid("count", "is required where there are no names"));
            }
            "" => u32::try_from(names).unwrap_or(u32::MAX),
            text => text.parse().map_err(|_| invalid("count", "must be a whole number"))?,
        };
        if names > attendee::MAX_ISSUED as usize {
            return Err(invalid("names", "are more than 5000; add them in several goes"));
        }
        if names > count as usize {
            return Err(invalid("count", "is less than there are names; leave it empty"));
        }
        Ok(count)
    }
}

pub async fn issue(
    State(site): State<Site>,
    me: SignedIn,
    Extension(gate): Extension<Arc<Gate>>,
    Path(id): Path<String>,
    Upload(form): Upload,
) -> Answer {
    let _turn = gate.upload(&me.owner.id).await?;
    let (mut typed, too_large) = match Issue::read(form).await {
        Ok(typed) => (typed, false),
        Err(error) => match Unread::of(&error) {
            Unread::TooLarge => (Issue::default(), true),
            unread => return Err(unread.into()),
        },
    };
    let done = if too_large {
        Err(invalid(
            "file",
            "is larger than 2 MB, with the names that were typed; go back to find these again",
        ))
    } else {
        add(&site, &me, &id, &mut typed).await
    };
    match done {
        Ok(issued) => me.done(&site, &path(&id), Flash::done(told(&issued))).await,
        Err(error) => {
            let problems = Problems::from_error(error)?;
            let asked = Asked::default();
            page::unprocessable(&list(&site, &me, &id, &asked, &typed, problems).await?)
        }
    }
}

async fn add(site: &Site, me: &SignedIn, id: &str, typed: &mut Issue) -> Result<Vec<Issued>> {
    typed.take_file()?;
    let names = typed.names();
    let count = typed.count(names.len())?;
    attendee::issue(&site.db, &site.vault, &me.actor(), id, count, &names).await
}

fn told(issued: &[Issued]) -> String {
    let mut text = match issued {
        [one] => format!("One attendee is added: {}.", one.user_id),
        [first, .., last] => {
            format!("{} attendees are added: {} to {}.", issued.len(), first.user_id, last.user_id)
        }
        [] => "Nobody was added.".to_owned(),
    };
    let _ = write!(text, " Make their cards now, and hand them out.");
    text
}
