-- Signed-in browsers of owners. digest: SHA-256 of the token in the cookie.
-- flash_sealed: what the next page says once; it goes with the session, so it
-- is not re-sealed when the master key changes.

create table owner_session (
    digest       text   not null primary key,
    owner_id     text   not null references owner (id) on delete cascade,
    created_at   bigint not null,
    last_seen_at bigint not null,
    flash_sealed text
);
create index owner_session_by_owner on owner_session (owner_id);
