-- Attendees of a shared code who were deleted: they stay out until they are let
-- in again. user_id: shared:<digest>. day and used: the UTC day (days since 1970)
-- of the deletion and the requests of it that were leased or spent by then.

create table deleted_attendee (
    event_id text   not null references event (id) on delete cascade,
    user_id  text   not null,
    day      bigint not null,
    used     bigint not null,
    primary key (event_id, user_id)
);
