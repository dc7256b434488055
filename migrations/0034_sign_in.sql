-- Who signed in and who tried, counted by hour (UTC milliseconds of its start): one row for each
-- account, source and outcome. `owner_id` is empty where nobody's name was typed, because what was
-- typed is not kept. `source` is an IPv4 address or an IPv6 /64 network, and empty for the sources
-- that are counted together. Rows are kept for 90 days.
create table sign_in (
    id        text   not null primary key,
    hour      bigint not null,
    owner_id  text   not null,
    source    text   not null,
    outcome   text   not null,
    succeeded bigint not null,
    times     bigint not null,
    first_at  bigint not null,
    last_at   bigint not null,
    unique (hour, owner_id, source, outcome)
);
create index sign_in_by_owner on sign_in (owner_id, id);
