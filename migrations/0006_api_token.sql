-- Tokens by which programs act for an owner. digest: SHA-256 of the token, which
-- is 32 random bytes and is not kept.

create table api_token (
    id           text   not null primary key,
    owner_id     text   not null references owner (id) on delete cascade,
    name         text   not null,
    digest       text   not null unique,
    created_at   bigint not null,
    expires_at   bigint,
    last_used_at bigint
);
create index api_token_by_owner on api_token (owner_id);
