-- One dialect for SQLite and PostgreSQL: text ids, bigint UTC milliseconds,
-- 0/1 bigints for flags. Columns named *_sealed hold AES-256-GCM text bound to
-- their table, row and column; *_digest columns hold hex digests.
--
-- Rows that replicas write from what they remember (quota, usage, mcp_session)
-- have no foreign keys: a late write about a deleted row must not undo the
-- figures that come with it, and an ended session outlives its attendee.

create table owner (
    id            text   not null primary key,
    name          text   not null unique,
    role          text   not null check (role in ('owner', 'administrator')),
    active        bigint not null check (active in (0, 1)),
    password_hash text,
    created_at    bigint not null
);

create table setup_link (
    digest     text   not null primary key,
    owner_id   text   references owner (id) on delete cascade,
    created_at bigint not null,
    expires_at bigint not null,
    used_at    bigint
);

create table resource (
    id              text   not null primary key,
    owner_id        text   not null references owner (id),
    deployment      text   not null,
    name            text   not null,
    type            text   not null,
    endpoint_sealed text   not null,
    auth            text   not null,
    key_sealed      text,
    region          text   not null,
    active          bigint not null check (active in (0, 1)),
    created_at      bigint not null,
    updated_at      bigint not null,
    unique (owner_id, deployment)
);

create table event (
    id                  text   not null primary key,
    owner_id            text   not null references owner (id),
    name                text   not null,
    description         text   not null,
    organizer_name      text   not null,
    organizer_email     text   not null,
    start_local         text   not null,
    end_local           text   not null,
    time_zone           text   not null,
    starts_at           bigint not null,
    ends_at             bigint not null,
    max_token_cap       bigint not null,
    daily_request_cap   bigint not null,
    requests_per_minute bigint not null,
    burst               bigint not null,
    max_open_requests   bigint not null,
    shared_code_sealed  text,
    shared_code_limit   bigint not null,
    registration        text   not null,
    active              bigint not null check (active in (0, 1)),
    created_at          bigint not null,
    updated_at          bigint not null
);
create index event_by_owner on event (owner_id);

create table event_resource (
    event_id    text   not null references event (id) on delete cascade,
    resource_id text   not null references resource (id),
    position    bigint not null,
    primary key (event_id, resource_id)
);
create index event_resource_by_resource on event_resource (resource_id);

create table attendee (
    id                text   not null primary key,
    event_id          text   not null references event (id) on delete cascade,
    user_id           text   not null,
    display_name      text   not null,
    api_key_sealed    text   not null,
    key_digest        text   not null unique,
    active            bigint not null check (active in (0, 1)),
    daily_request_cap bigint,
    created_at        bigint not null,
    last_seen_at      bigint,
    last_error        text,
    last_error_at     bigint,
    unique (event_id, user_id)
);

-- day: UTC days since 1970. granted: leased to replicas; spent: used up.
create table quota (
    attendee_id text   not null,
    day         bigint not null,
    granted     bigint not null,
    spent       bigint not null,
    primary key (attendee_id, day)
);

create table mcp_session (
    endpoint_digest text   not null,
    session_digest  text   not null,
    attendee_id     text   not null,
    created_at      bigint not null,
    last_seen_at    bigint not null,
    ended_at        bigint,
    primary key (endpoint_digest, session_digest)
);
create index mcp_session_by_attendee on mcp_session (attendee_id, last_seen_at);
create index mcp_session_by_end on mcp_session (ended_at);

-- minute: UTC milliseconds of its start. le_*: calls that took at most so many
-- milliseconds and fitted no smaller bucket.
create table usage (
    event_id          text   not null,
    attendee_id       text   not null,
    resource_id       text   not null,
    operation         text   not null,
    name              text   not null,
    minute            bigint not null,
    requests          bigint not null,
    errors            bigint not null,
    prompt_tokens     bigint not null,
    completion_tokens bigint not null,
    total_ms          bigint not null,
    le_5              bigint not null,
    le_10             bigint not null,
    le_25             bigint not null,
    le_50             bigint not null,
    le_100            bigint not null,
    le_250            bigint not null,
    le_500            bigint not null,
    le_1000           bigint not null,
    le_2500           bigint not null,
    le_5000           bigint not null,
    le_10000          bigint not null,
    le_30000          bigint not null,
    le_60000          bigint not null,
    le_inf            bigint not null,
    primary key (event_id, attendee_id, resource_id, operation, name, minute)
);
create index usage_by_attendee on usage (attendee_id, minute);

-- The batches of usage that were written of late: each is taken once.
create table flush (
    id text   not null primary key,
    at bigint not null
);

create table audit (
    id       text   not null primary key,
    at       bigint not null,
    owner_id text   not null,
    actor    text   not null,
    action   text   not null,
    noun     text   not null,
    noun_id  text   not null,
    detail   text   not null
);
create index audit_by_owner on audit (owner_id, at);

create table revision (
    name  text   not null primary key,
    value bigint not null
);
insert into revision (name, value) values ('catalog', 0);

create table change (
    revision bigint not null primary key,
    noun     text   not null,
    noun_id  text   not null
);

create table meta (
    name  text not null primary key,
    value text not null
);
