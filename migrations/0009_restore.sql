-- What an owner has uploaded to restore, between looking at it and confirming:
-- one a person, gone with the browser's session. archive_sealed goes with the
-- row, so it is not re-sealed when the master key changes.

create table restore (
    owner_id       text   not null primary key references owner (id) on delete cascade,
    session        text   not null references owner_session (digest) on delete cascade,
    id             text   not null,
    at             bigint not null,
    archive_sealed text   not null
);
