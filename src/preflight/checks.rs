//! What the event itself needs to work, as far as it can be told from here.

use super::board::{Board, Mark, Tick};
use super::public_url;
use crate::catalog::attendee;
use crate::catalog::event::{Event, JoinBy, Shut};
use crate::clock::in_words;
use crate::proxy::plane::DataPlane;

const STEPS: [&str; 5] = ["Open at its start", "Resources", "Attendees", "Caps", "Public address"];

/// Below these, attendees will run into their limits in ordinary work.
const FEW_A_DAY: u32 = 50;
const SMALL_BURST: u32 = 10;
const FEW_A_MINUTE: u32 = 30;
const FEW_OPEN: u32 = 4;

pub(super) fn planned() -> Vec<Tick> {
    STEPS.map(Tick::waiting).to_vec()
}

pub(super) async fn run(board: &Board, plane: &DataPlane, event: &Event) {
    let set = |at: usize, (mark, said): (Mark, String)| {
        board.write(|run| run.event[at] = Tick::found(STEPS[at], mark, said));
    };
    set(0, opening(event, plane.clock.now_ms()));
    set(1, resources(event));
    set(2, attendees(plane, event).await);
    set(3, caps(event));
    board.write(|run| run.event[4].mark = Mark::Running);
    let found = public_url::check(&plane.config, event).await;
    board.write(|run| run.event[4] = Tick { what: STEPS[4].to_owned(), ..found });
}

fn opening(event: &Event, now: i64) -> (Mark, String) {
    let zone = &event.time_zone;
    let (start, end) = (event.start_local.replace('T', " "), event.end_local.replace('T', " "));
    if now > event.ends_at {
        let said =
            format!("it ended at {end} ({zone}): no key works any more. Give it a later end");
        return (Mark::Bad, said);
    }
    let when = if now < event.starts_at {
        format!("at {start} ({zone}), {} from now", in_words(event.starts_at - now))
    } else {
        format!("now, until {end} ({zone})")
    };
    if event.active {
        let said = if now < event.starts_at { "opens by itself" } else { "open" };
        return (Mark::Good, format!("{said} {when}"));
    }
    let said = format!(
        "it is switched off, so every key is refused (401 event_inactive). Its window is open {when}: \
         switch it on before that, it does not open earlier"
    );
    (Mark::Warning, said)
}

fn resources(event: &Event) -> (Mark, String) {
    let all = &event.resources;
    let usable = all.iter().filter(|found| found.active && found.kind.is_served()).count();
    let off: Vec<&str> =
        all.iter().filter(|found| !found.active).map(|found| &*found.deployment).collect();
    if all.is_empty() {
        (Mark::Bad, "none is linked, so there is nothing to call. Link some".to_owned())
    } else if usable == 0 {
        (Mark::Bad, "none of those linked can be called now".to_owned())
    } else if !off.is_empty() {
        (Mark::Warning, format!("switched off: {}", off.join(", ")))
    } else {
        (Mark::Good, format!("{usable} of {} can be called", all.len()))
    }
}

async fn attendees(plane: &DataPlane, event: &Event) -> (Mark, String) {
    let known = attendee::list(&plane.control.db, &event.owner_id, &event.id).await;
    let Ok(known) = known else {
        return (Mark::Bad, "the store does not answer".to_owned());
    };
    let have_keys = match known.iter().filter(|attendee| attendee.active).count() {
        0 => "nobody has a key yet".to_owned(),
        1 => "1 person has a key".to_owned(),
        n => format!("{n} people have keys"),
    };
    let has_none = known.is_empty();
    let ways = ways(event);
    match event.shut() {
        None if event.registration.admits(JoinBy::GitHub) && !plane.config.github.is_given() => {
            let said = format!(
                "{have_keys}; people cannot join with GitHub, because it is not set up on this proxy. Set \
                 --github-client-id, or untick GitHub in the event's settings"
            );
            (if has_none { Mark::Bad } else { Mark::Warning }, said)
        }
        None if !ways.is_empty() => (Mark::Good, format!("{have_keys}; {}", ways.join(", and "))),
        Some(Shut::Stopped) if has_none => {
            (Mark::Bad, "nobody has a key and registration is closed. Reopen it".to_owned())
        }
        Some(Shut::Stopped) => (Mark::Warning, format!("{have_keys}; registration is closed")),
        Some(Shut::Closed) if event.shared_code.is_some() => {
            let mark = if has_none { Mark::Bad } else { Mark::Warning };
            let said = format!(
                "{have_keys}; the shared code lets nobody new in, because registration is closed \
                 in the event's settings"
            );
            (mark, said)
        }
        _ if has_none => {
            let said = "nobody has a key yet, and there is no shared code. Issue keys";
            (Mark::Warning, said.to_owned())
        }
        _ => (Mark::Good, have_keys),
    }
}

/// How people can join by themselves.
fn ways(event: &Event) -> Vec<String> {
    let by_code = event.shared_code.is_some() && event.registration.admits(JoinBy::SharedCode);
    let most = event.shared_code_limit;
    let by_code = by_code.then(|| format!("up to {most} can join with the shared code"));
    let by_github = event.registration.admits(JoinBy::GitHub);
    let by_github = by_github.then(|| "people can join with GitHub".to_owned());
    by_code.into_iter().chain(by_github).collect()
}

fn caps(event: &Event) -> (Mark, String) {
    let rate = event.requests_per_minute;
    let mut small = Vec::new();
    if event.daily_request_cap < FEW_A_DAY {
        small.push(format!("{} tool calls a day are soon used up", event.daily_request_cap));
    }
    if event.burst < SMALL_BURST || rate < FEW_A_MINUTE {
        small.push(format!(
            "{rate} requests a minute with {} at once make MCP clients wait: one sends about five \
             just to open",
            event.burst
        ));
    }
    if event.max_open_requests < FEW_OPEN {
        small.push(format!(
            "{} open at once are few: each MCP client keeps a stream open",
            event.max_open_requests
        ));
    }
    if !small.is_empty() {
        return (Mark::Warning, small.join("; "));
    }
    let said = format!(
        "each attendee has {} requests a day, {rate} a minute, {} open at once",
        event.daily_request_cap, event.max_open_requests
    );
    (Mark::Good, said)
}
