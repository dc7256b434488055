-- The card by which an attendee claims a key: one at most, of which only a keyed
-- digest is kept. A new card takes the place of the one before.

create table claim_code (
    attendee_id text   not null primary key references attendee (id) on delete cascade,
    digest      text   not null unique,
    created_at  bigint not null,
    claimed_at  bigint
);
