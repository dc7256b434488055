-- Only tombstones are looked for by when they ended. With the live ones in it,
-- SQLite took this index to find an attendee's, and read everybody's.
drop index mcp_session_by_end;
create index mcp_session_by_end on mcp_session (ended_at) where ended_at is not null;
