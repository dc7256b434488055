-- confirmed_at: when the owner last gave their password in this browser; null where they have
-- not, as in sessions begun before this column was there.
alter table owner_session add column confirmed_at bigint;
