//! Card codes: what stands on a card in place of the API key. The first use of a code makes a fresh
//! key, so that nobody who has seen the cards or a list of codes holds the key that comes of one.
//! Each use signs its attendee in; an event may say that its cards work once.
//!
//! A code is found by a keyed digest, and sealed beside it ([`card`](super::card)), so that
//! the card can be printed again. A new card voids the one before.

use secrecy::{ExposeSecret, SecretString};
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use unicode_normalization::UnicodeNormalization as _;

use super::card::{self, LENGTH, MAX_CARDS, PrintedCard, digested};
use super::row::{Attendee, select};
use super::session::{self, NewSession, Way};
use super::{not_found, refuse_by_code, replace_key, typed};
use crate::catalog::audit::{self, Action, Actor};
use crate::catalog::seal::Vault;
use crate::catalog::{Digest, Error, Noun, Result, change};
use crate::clock::MINUTE_MS;
use crate::db::{Columns, Db, Parameters};

/// Characters that are looked at: a card's link, and what was pasted with it.
const LONGEST_TYPED: usize = 1000;

/// How long the browser that used a card which works once can ask for the answer again.
const ASKED_AGAIN_MS: i64 = 10 * MINUTE_MS;

/// Whom cards are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For<'a> {
    /// Issued attendees who never had a card and never called.
    New,
    /// Those whose card nobody has claimed, the oldest card first.
    Unclaimed,
    One(&'a str),
}

/// How many attendees of an event cards could be made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    pub new: u32,
    pub unclaimed: u32,
}

/// The browser in which somebody uses a card.
#[derive(Clone, Copy, Debug)]
pub struct CardReader<'a> {
    /// What it is, in a few words.
    pub agent: &'a str,
    /// The token that came with the form, by which the browser is known that opened it.
    pub form: Option<&'a SecretString>,
    /// Tokens of attendees' sessions that it holds; one of the card's event ends.
    pub held: &'a [SecretString],
}

/// What a code was good for.
#[derive(Debug)]
pub enum Claim {
    /// Its attendee is signed in with this token. At the card's first use they got a fresh key, and
    /// any earlier one stopped.
    Open {
        attendee: Attendee,
        token: SecretString,
    },
    /// It works once, and was used at `at` (UTC milliseconds), in another browser or a while ago.
    Used {
        event_id: String,
        owner_id: String,
        at: i64,
    },
    /// Its event has ended; it was left unused.
    Ended {
        event_id: String,
        owner_id: String,
    },
    /// Its event was never switched on; it was left unused.
    NotReady {
        event_id: String,
        owner_id: String,
    },
    /// Its attendee is switched off; it was left unused.
    Deactivated {
        event_id: String,
        owner_id: String,
    },
    Unknown,
}

/// Whether cards could be made for anybody of an owner's event.
pub async fn waiting(db: &Db, owner_id: &str, event_id: &str) -> Result<Waiting> {
    let row = sqlx::query(
        "select count(case when digest is null then 1 end) as fresh,
            count(case when digest is not null and claimed_at is null then 1 end) as unclaimed
         from attendee join event on event.id = attendee.event_id
         left join claim_code on attendee_id = attendee.id
         where event.owner_id = $1 and event.id = $2 and event.purge_at is null
            and attendee.active = 1
            and user_id like 'issued:%' and last_seen_at is null",
    )
    .bind(owner_id)
    .bind(event_id)
    .fetch_one(db.pool())
    .await?;
    Ok(Waiting { new: row.count("fresh")?, unclaimed: row.count("unclaimed")? })
}

/// Makes cards, at most [`MAX_CARDS`]; those that these attendees had are void.
///
/// # Errors
/// [`Error::Conflict`] for one who joined with the shared code, and where there is
/// nobody to make a card for.
pub async fn make_cards(
    db: &Db,
    vault: &Vault,
    by: &Actor,
    event_id: &str,
    whom: For<'_>,
) -> Result<Vec<PrintedCard>> {
    let condition = match whom {
        For::New => "digest is null and user_id like 'issued:%' and last_seen_at is null",
        For::Unclaimed => {
            "claimed_at is null and digest is not null and user_id like 'issued:%'
             and last_seen_at is null"
        }
        For::One(_) => "attendee.id = $3",
    };
    let statement = format!(
        "select attendee.id, user_id, display_name from attendee
         join event on event.id = attendee.event_id
         left join claim_code on attendee_id = attendee.id
         where event.owner_id = $1 and event.id = $2 and event.purge_at is null
            and attendee.active = 1 and {condition}
         order by coalesce(claim_code.created_at, 0), attendee.created_at, attendee.id
         limit {MAX_CARDS}"
    );
    let mut tx = change::write(db).await?;
    let mut query = sqlx::query(AssertSqlSafe(statement)).bind(&by.owner_id).bind(event_id);
    if let For::One(id) = whom {
        query = query.bind(id);
    }
    let rows = query.fetch_all(&mut *tx).await?;
    let mut cards = Vec::with_capacity(rows.len());
    for row in &rows {
        refuse_by_code(&row.text("user_id")?)?;
        cards.push(PrintedCard {
            attendee_id: row.text("id")?,
            user_id: row.text("user_id")?,
            display_name: row.text("display_name")?,
            code: new_code()?,
        });
    }
    if cards.is_empty() {
        return Err(match whom {
            For::One(id) => not_found(id),
            _ => Error::Conflict { reason: "there is nobody to make a card for".to_owned() },
        });
    }
    for batch in cards.chunks(100) {
        let statement = format!(
            "insert into claim_code (attendee_id, digest, code_sealed, created_at) values {}
             on conflict (attendee_id) do update set digest = excluded.digest,
                code_sealed = excluded.code_sealed, form_digest = null,
                created_at = excluded.created_at, claimed_at = null",
            Parameters::on(&tx).rows(4, batch.len())
        );
        let mut insert = sqlx::query(AssertSqlSafe(statement));
        for card in batch {
            let code = card.code.expose_secret();
            let sealed = vault.seal(card::place(&card.attendee_id), code)?;
            let digest = card::digest(vault, code).hex();
            insert = insert.bind(&card.attendee_id).bind(digest).bind(sealed).bind(by.at);
        }
        insert.execute(&mut *tx).await?;
        // Whoever came by the card before may be somebody who found it.
        let ids: Vec<_> = batch.iter().map(|card| card.attendee_id.as_str()).collect();
        session::end_by_in(&mut tx, Way::Card, &ids, None).await?;
    }
    let (noun, id, detail) = match whom {
        For::One(id) => (Noun::Attendee, id, String::new()),
        _ => (Noun::Event, event_id, format!("{} cards", cards.len())),
    };
    audit::record(&mut tx, by, Action::MadeCards, noun, id, &detail).await?;
    tx.commit().await?;
    Ok(cards)
}

/// Signs in whoever has the card with this code, as it was typed. The first use makes a fresh key:
/// exactly once, however many try. Later uses find the same key, until the event ends; of a card that
/// works once, only for a while and only in the browser that opened the form.
///
/// # Errors
/// Those of the store.
pub async fn claim(
    db: &Db,
    vault: &Vault,
    typed: &str,
    reader: &CardReader<'_>,
    now_ms: i64,
) -> Result<Claim> {
    let Some(code) = normal(typed) else { return Ok(Claim::Unknown) };
    let text = digested(&code);
    let digests = [Some(vault.digest(&text)), vault.old_digest(&text)];
    // Wrong ones are answered without the catalog's lock.
    let Some(found) = find(&mut *db.pool().acquire().await?, &digests).await? else {
        return Ok(Claim::Unknown);
    };
    if let Some(refused) = found.refusal(reader, now_ms) {
        return Ok(refused);
    }
    // Whoever only looks at their page again keeps no writer of the catalog waiting.
    let mut tx =
        if found.claimed_at.is_some() { db.write().await? } else { change::write(db).await? };
    // A card that is made meanwhile waits, and then ends what this one has begun.
    sqlx::query("update claim_code set claimed_at = claimed_at where digest = $1")
        .bind(&found.digest)
        .execute(&mut *tx)
        .await?;
    // Again, now that nobody else writes.
    let Some(found) = find(&mut tx, &digests).await? else { return Ok(Claim::Unknown) };
    if let Some(refused) = found.refusal(reader, now_ms) {
        return Ok(refused);
    }
    let Card { attendee, owner_id, digest, claimed_at, .. } = found;
    if claimed_at.is_none() {
        sqlx::query("update claim_code set claimed_at = $2, form_digest = $3 where digest = $1")
            .bind(&digest)
            .bind(now_ms)
            .bind(reader.form.map(session::digest))
            .execute(&mut *tx)
            .await?;
        replace_key(&mut tx, vault, &attendee.id, None).await?;
        let by = Actor::attendee(&owner_id, &attendee.user_id, now_ms);
        audit::record(&mut tx, &by, Action::ClaimedCard, Noun::Attendee, &attendee.id, "").await?;
    }
    let new = NewSession { way: Way::Card, agent: reader.agent, held: reader.held };
    let token = session::start_in(&mut tx, &attendee.id, &new, now_ms).await?;
    tx.commit().await?;
    Ok(Claim::Open { attendee, token })
}

/// A card, as it is stored.
struct Card {
    attendee: Attendee,
    owner_id: String,
    digest: String,
    claimed_at: Option<i64>,
    form_digest: Option<String>,
    works_once: bool,
    is_draft: bool,
    ends_at: i64,
}

impl Card {
    /// Why it opens nothing now.
    fn refusal(&self, reader: &CardReader<'_>, now_ms: i64) -> Option<Claim> {
        let (event_id, owner_id) = (self.attendee.event_id.clone(), self.owner_id.clone());
        if let Some(at) = self.claimed_at.filter(|at| self.is_used_up(*at, reader, now_ms)) {
            return Some(Claim::Used { event_id, owner_id, at });
        }
        if self.ends_at < now_ms {
            return Some(Claim::Ended { event_id, owner_id });
        }
        if self.is_draft {
            return Some(Claim::NotReady { event_id, owner_id });
        }
        (!self.attendee.active).then_some(Claim::Deactivated { event_id, owner_id })
    }

    /// A card that works once was used: the answer may have been lost on its way, so the browser that
    /// opened the form may ask for it again.
    fn is_used_up(&self, at: i64, reader: &CardReader<'_>, now_ms: i64) -> bool {
        let is_same_browser =
            reader.form.is_some_and(|form| self.form_digest == Some(session::digest(form)));
        self.works_once && !(is_same_browser && now_ms - at <= ASKED_AGAIN_MS)
    }
}

async fn find(
    connection: &mut AnyConnection,
    digests: &[Option<Digest>; 2],
) -> Result<Option<Card>> {
    let hex = |digest: Option<Digest>| digest.as_ref().map(Digest::hex);
    let row = sqlx::query(select(
        ", digest, claimed_at, form_digest, event.owner_id, event.ends_at, event.cards_work_once,
            event.first_active_at
         from claim_code join attendee on attendee.id = attendee_id
         join event on event.id = attendee.event_id
         where digest in ($1, $2) and event.purge_at is null",
    ))
    .bind(hex(digests[0]))
    .bind(hex(digests[1]).or_else(|| hex(digests[0])))
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Card {
        attendee: Attendee::read(&row)?,
        owner_id: row.text("owner_id")?,
        digest: row.text("digest")?,
        claimed_at: row.try_get("claimed_at")?,
        form_digest: row.try_get("form_digest")?,
        works_once: row.flag("cards_work_once")?,
        is_draft: row.try_get::<Option<i64>, _>("first_active_at")?.is_none(),
        ends_at: row.int("ends_at")?,
    }))
}

/// A code as it may be typed or pasted: in any case and width of letters, with any spaces and
/// signs between them, alone or in a card's link, with text after it.
fn normal(typed: &str) -> Option<String> {
    let text: String = typed.nfkc().take(LONGEST_TYPED).collect();
    // A link holds it behind its #; before that, its letters could be taken for a code's.
    let fragments = text.split('#').skip(1);
    fragments.chain([text.as_str()]).find_map(|text| typed::leading(text, LENGTH))
}

fn new_code() -> Result<SecretString> {
    let code = typed::random::<LENGTH>()?;
    let groups: Vec<_> = code.chunks(4).map(String::from_utf8_lossy).collect();
    Ok(groups.join("-").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = new_code().unwrap();
        let text = code.expose_secret();
        let plain = text.replace('-', "");
        assert_eq!(normal(text).as_deref(), Some(plain.as_str()));
        assert_eq!(normal(&format!(" {} ", text.to_lowercase())), Some(plain));
        assert_eq!(normal("oOiI-lL00-1111").as_deref(), Some("001111001111"));
        for written in [
            "7QK4–M2XB—9TDH",
            "7QK4\u{2011}M2XB\u{2212}9TDH.",
            "７ＱＫ４－Ｍ２ＸＢ－９ｔｄｈ",
            "7QK4\u{a0}M2XB\u{200b}9TDH",
            "“7qk4 m2xb 9tdh”",
            "7QK4_M2XB/9TDH",
            "https://proxy.example/claim#7QK4-M2XB-9TDH",
            "http://abcdefgh/claim#7QK4-M2XB-9TDH (Anna #3)",
            "7QK4-M2XB-9TDH%20Anna",
            "Card #12 #7QK4-M2XB-9TDH",
        ] {
            assert_eq!(normal(written).as_deref(), Some("7QK4M2XB9TDH"), "{written}");
        }
        for wrong in
            ["АBCD-EFGH-JKMN", "https://proxy.example/claim#", "https://proxy.example/claim"]
        {
            assert_eq!(normal(wrong), None, "{wrong}");
        }
        for wrong in ["", "ABCD", "ABCD-EFGH-JKM", "ABCD-EFGH-JKMNP", "ABCD-EFGU-JKMN", "ä"] {
            assert_eq!(normal(wrong), None, "{wrong}");
        }
    }
}
