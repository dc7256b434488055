-- Entries about one attendee are found when their personal data is removed, and those about one event
-- when a backup of it is to be restored.
create index audit_by_noun on audit (noun_id);

-- attendee_id: whom entries of the audit trail are about; null for those deleted before this release.
alter table deleted_attendee add column attendee_id text;
