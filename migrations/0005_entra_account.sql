-- Who signs in with Microsoft Entra ID: an account is a person in a tenant, by
-- the ids that never change and are never given to somebody else.

create table entra_account (
    tenant_id  text   not null,
    object_id  text   not null,
    owner_id   text   not null unique references owner (id) on delete cascade,
    created_at bigint not null,
    primary key (tenant_id, object_id)
);

-- Sign-ins that came back, until they would have expired: each comes back once.
create table entra_state (
    digest     text   not null primary key,
    expires_at bigint not null
);
