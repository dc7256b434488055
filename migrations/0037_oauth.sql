-- What attendees have allowed MCP clients that sign in (OAuth 2.1). Times are UTC milliseconds.
-- deployment: the MCP server that the tokens are for; null for all of the event.
-- code_digest: keyed digest of the shared code by which the attendee came, for those who did: another
-- code ends the grant.
create table oauth_grant (
    id            text   not null primary key,
    attendee_id   text   not null references attendee (id) on delete cascade,
    client_id     text   not null,
    client_name   text   not null,
    redirect_host text   not null,
    deployment    text,
    code_digest   text,
    created_at    bigint not null,
    last_used_at  bigint
);
create index oauth_grant_by_attendee on oauth_grant (attendee_id);

-- Authorization codes, by a keyed digest. One that was redeemed is kept for a while, because a second
-- try ends the grant.
create table oauth_code (
    digest       text   not null primary key,
    grant_id     text   not null references oauth_grant (id) on delete cascade,
    redirect_uri text   not null,
    challenge    text   not null,
    expires_at   bigint not null,
    redeemed_at  bigint
);
create index oauth_code_by_grant on oauth_code (grant_id);

-- Tokens, by a keyed digest. expires_at is of access tokens, rotated_at of refresh tokens: when one was
-- first replaced by another.
create table oauth_token (
    digest     text   not null primary key,
    grant_id   text   not null references oauth_grant (id) on delete cascade,
    kind       text   not null check (kind in ('access', 'refresh')),
    created_at bigint not null,
    expires_at bigint,
    rotated_at bigint
);
create index oauth_token_by_grant on oauth_token (grant_id);
