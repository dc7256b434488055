-- Wrong shared codes beyond what people mistype, by minute (UTC milliseconds of
-- its start), so that the organiser is warned. Replicas add to it from memory, so
-- it has no foreign key; rows are kept for an hour.

create table code_guess (
    event_id text   not null,
    minute   bigint not null,
    tries    bigint not null,
    primary key (event_id, minute)
);
