-- Browsers in which attendees are signed in.
-- digest: SHA-256 of the token that the browser keeps in a cookie.
-- way: how they showed who they are (card, joined, named, continued, …).
-- agent: what the browser is, in a few words, for its owner to recognise.
create table attendee_session (
    digest       text   not null primary key,
    attendee_id  text   not null references attendee (id) on delete cascade,
    way          text   not null,
    agent        text   not null,
    created_at   bigint not null,
    last_seen_at bigint not null
);

create index attendee_session_by_attendee on attendee_session (attendee_id);

-- A code that opens an attendee's page on another device: one at most for each attendee.
-- session: the browser that shows the code. opened: the session of the browser that used it.
create table continue_code (
    attendee_id text   not null primary key references attendee (id) on delete cascade,
    digest      text   not null unique,
    session     text   not null references attendee_session (digest) on delete cascade,
    expires_at  bigint not null,
    opened      text   references attendee_session (digest) on delete set null,
    opened_at   bigint
);

create index continue_code_by_session on continue_code (session);
create index continue_code_by_opened on continue_code (opened);

-- code_sealed: the code, so that the same card can be printed again; null where only the digest
-- is known. form_digest: the browser that used a card which works once.
alter table claim_code add column code_sealed text;
alter table claim_code add column form_digest text;

-- Cards that were printed before this release worked once, and still do.
alter table event add column cards_work_once bigint not null default 1;

-- When the event was first switched on; null: it is a draft.
alter table event add column first_active_at bigint;
update event set first_active_at = updated_at
where active = 1 or exists (select 1 from usage where usage.event_id = event.id);

-- terms: what people agree to before they join; empty: the default text.
-- forget_after_days: personal data is removed this many days after the end; null: never.
-- forgotten_at: when that was done.
alter table event add column terms text not null default '';
alter table event add column forget_after_days bigint;
alter table event add column forgotten_at bigint;

-- When the person agreed to the terms of use.
alter table attendee add column terms_accepted_at bigint;
