-- proven: the MCP server has issued the id, or has answered a request with it;
-- until then a claim can be released, and leaves no tombstone.
-- affinity_sealed: the cookies by which a load balancer knows the session.
alter table mcp_session add column proven bigint not null default 1;
alter table mcp_session add column affinity_sealed text;
-- A claim looks for holders of the same id at every origin.
create index mcp_session_by_id on mcp_session (session_digest) where ended_at is null;

-- Sessions that were ended or taken over, by a counter of their own.
insert into revision (name, value) values ('session', 0);
create table session_change (
    revision        bigint not null primary key,
    endpoint_digest text   not null,
    session_digest  text   not null
);

-- What the proxy has found out about how a server deals with sessions.
-- constant_digest: SHA-256 of the id that it gives to everybody.
create table session_mark (
    resource_id        text   not null primary key references resource (id) on delete cascade,
    constant_digest    text,
    has_large_affinity bigint not null default 0
);
