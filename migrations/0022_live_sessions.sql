-- Every session that is bound looks for those of the attendee that live, which
-- must not take longer with each that has ended.
drop index mcp_session_by_attendee;
create index mcp_session_live on mcp_session (attendee_id, last_seen_at) where ended_at is null;
