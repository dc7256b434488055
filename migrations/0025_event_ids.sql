-- Whose an event's id is, for ever: clients keep URLs and keys that name it, so
-- after the event was deleted it must never lead to another owner's backends.

create table event_id (
    id       text not null primary key,
    owner_id text not null
);
insert into event_id (id, owner_id) select id, owner_id from event;

-- Events that were deleted before are known from the audit trail: the last owner
-- who had one with the id keeps it.
insert into event_id (id, owner_id)
select audit.noun_id, max(audit.owner_id) from audit
join (select noun_id, max(at) as at from audit where noun = 'event' group by noun_id) as latest
    on latest.noun_id = audit.noun_id and latest.at = audit.at
where audit.noun = 'event' and audit.noun_id not in (select id from event_id)
group by audit.noun_id;

-- Set on an event that is gone for everybody, whose rows are not yet: they are
-- removed in small batches from this time on (UTC milliseconds).
alter table event add column purge_at bigint;
create index event_to_purge on event (purge_at) where purge_at is not null;
