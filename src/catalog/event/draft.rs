//! The rules for what an organiser enters for an event.

use std::collections::HashSet;

use secrecy::{ExposeSecret, SecretString};

use super::fields::Draft;
use super::forget::FORGET_AFTER_DAYS;
use super::registration::Registration;
use super::window::Window;
use crate::catalog::digest::hex;
use crate::catalog::limits::{CAP, NAME, PERSON};
use crate::catalog::validate::{invalid, line, number};
use crate::catalog::{Error, Result, seal};

/// Maximum number of characters in a description, and in terms of use.
pub const MAX_MARKDOWN: usize = 8192;

/// Resources that an event can have: as many as a backup takes.
pub const MAX_LINKED: usize = 1000;

/// Fewest characters of a shared code that is set now, and of one that was set when
/// fewer were enough.
pub const MIN_NEW_CODE: usize = 8;
const MIN_CODE: usize = 5;

pub const MAX_CODE: usize = 64;

/// No `i`, `l`, `o`, `u`, `0` or `1`: a code is read from a wall and typed.
const CODE_ALPHABET: &[u8; 30] = b"abcdefghjkmnpqrstvwxyz23456789";

/// A draft that meets the rules, with the values to store.
pub(super) struct Valid<'a> {
    pub draft: &'a Draft,
    pub name: String,
    pub organizer_name: String,
    pub organizer_email: String,
    pub window: Window,
    pub shared_code: Option<&'a str>,
    pub registration: Registration,
}

impl Draft {
    /// Whether the fields by themselves meet the rules; saving checks them again, against
    /// the store as well.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the first that does not.
    pub fn check(&self) -> Result<()> {
        self.validate().map(drop)
    }

    /// All that [`check`](Self::check) would find, each about a field of its own.
    pub fn problems(&self) -> Vec<Error> {
        let rules = [
            self.check_id(),
            line("name", &self.name, NAME).map(drop),
            check_description(&self.description),
            line("organizer_name", &self.organizer_name, PERSON).map(drop),
            self.address().map(drop),
            self.window().map(drop),
        ];
        let numbers = self.numbers().map(|(field, value)| number(field, value, CAP));
        let rest = [
            self.code().map(drop),
            Registration::parse(&self.registration).map(drop),
            check_markdown("terms", &self.terms),
            self.check_forget_after_days(),
            self.check_resources(),
        ];
        rules.into_iter().chain(numbers).chain(rest).filter_map(Result::err).collect()
    }

    pub(super) fn validate(&self) -> Result<Valid<'_>> {
        if let Some(first) = self.problems().into_iter().next() {
            return Err(first);
        }
        Ok(Valid {
            draft: self,
            name: line("name", &self.name, NAME)?,
            organizer_name: line("organizer_name", &self.organizer_name, PERSON)?,
            organizer_email: self.address()?,
            window: self.window()?,
            shared_code: self.code()?,
            registration: Registration::parse(&self.registration)?,
        })
    }

    /// When the event would be open.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the start, the end or the zone.
    pub fn window(&self) -> Result<Window> {
        Window::parse(&self.start, &self.end, &self.time_zone)
    }

    fn check_id(&self) -> Result<()> {
        if self.id.as_deref().is_some_and(|id| !is_event_id(id)) {
            return Err(invalid("id", "must be of the form a1b2-c3d4 (lower-case hexadecimal)"));
        }
        Ok(())
    }

    fn address(&self) -> Result<String> {
        let address = line("organizer_email", &self.organizer_email, PERSON)?;
        if !is_address(&address) {
            return Err(invalid("organizer_email", "is not an e-mail address"));
        }
        Ok(address)
    }

    fn numbers(&self) -> [(&'static str, u32); 6] {
        [
            ("max_token_cap", self.max_token_cap),
            ("daily_request_cap", self.daily_request_cap),
            ("requests_per_minute", self.requests_per_minute),
            ("burst", self.burst),
            ("max_open_requests", self.max_open_requests),
            ("shared_code_limit", self.shared_code_limit),
        ]
    }

    fn code(&self) -> Result<Option<&str>> {
        let code = self.shared_code.as_ref().map(SecretString::expose_secret);
        let code = code.filter(|code| !code.is_empty());
        if let Some(code) = code
            && !((MIN_CODE..=MAX_CODE).contains(&code.len())
                && code.bytes().all(|b| b.is_ascii_alphanumeric()))
        {
            return Err(wrong_code());
        }
        Ok(code)
    }

    fn check_forget_after_days(&self) -> Result<()> {
        let days = self.forget_after_days;
        days.map_or(Ok(()), |days| number("forget_after_days", days, FORGET_AFTER_DAYS))
    }

    fn check_resources(&self) -> Result<()> {
        if self.resources.len() > MAX_LINKED {
            return Err(invalid("resources", format!("are more than {MAX_LINKED}")));
        }
        let mut seen = HashSet::new();
        if !self.resources.iter().all(|id| seen.insert(id)) {
            return Err(invalid("resources", "names a resource twice"));
        }
        Ok(())
    }
}

impl Valid<'_> {
    /// A code that the event does not have yet must be too long to be guessed.
    pub(super) fn check_new_code(&self) -> Result<()> {
        let is_short = self.shared_code.is_some_and(|code| code.len() < MIN_NEW_CODE);
        if is_short { Err(wrong_code()) } else { Ok(()) }
    }
}

fn wrong_code() -> Error {
    let reason = format!("must be empty, or {MIN_NEW_CODE} to {MAX_CODE} letters and digits");
    invalid("shared_code", reason)
}

/// A shared code that nobody can guess (39 bits) and everybody can type.
pub fn propose_code() -> Result<String> {
    let mut code = String::new();
    while code.len() < MIN_NEW_CODE {
        let mut byte = [0];
        aws_lc_rs::rand::fill(&mut byte).map_err(|_| seal::Error::Failed)?;
        // The first 240 byte values give each character 8; the rest would favour the first ones.
        if byte[0] < 240 {
            code.push(char::from(CODE_ALPHABET[usize::from(byte[0] % 30)]));
        }
    }
    Ok(code)
}

fn check_description(text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(invalid("description", "is required"));
    }
    check_markdown("description", text)
}

fn check_markdown(field: &'static str, text: &str) -> Result<()> {
    if text.chars().count() > MAX_MARKDOWN {
        return Err(invalid(field, format!("has more than {MAX_MARKDOWN} characters")));
    }
    if text.contains('\0') {
        return Err(invalid(field, "holds a NUL character"));
    }
    Ok(())
}

/// What a mail program would take; whether it arrives only a mail can tell.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let dotted = domain.split('.').all(|label| !label.is_empty());
    !local.is_empty() && dotted && !text.contains(char::is_whitespace)
}

pub(super) fn is_event_id(text: &str) -> bool {
    let half = |half: &str| {
        half.len() == 4 && half.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    text.split_once('-').is_some_and(|(a, b)| half(a) && half(b))
}

pub(super) fn random_id() -> Result<String> {
    let mut bytes = [0; 4];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| seal::Error::Failed)?;
    Ok(format!("{}-{}", hex(&bytes[..2]), hex(&bytes[2..])))
}
