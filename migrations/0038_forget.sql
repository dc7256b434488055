-- Entries about one attendee are found when their personal data is removed, and those about one event
-- when a backup of it is to be restored.
create index audit_by_noun on audit (noun_id);
