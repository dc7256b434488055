-- Events that take no new attendees for now, however they would come. A row of
-- its own and not a value of event.registration: that says how people come once
-- they may again.

create table registration_stop (
    event_id   text   not null primary key references event (id) on delete cascade,
    stopped_at bigint not null
);
