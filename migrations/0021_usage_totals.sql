-- Sums of usage, written with it, so that an event of thousands of attendees
-- can be looked at without reading all its rows.

-- Over all attendees, by minute.
create table usage_minute (
    event_id          text   not null,
    minute            bigint not null,
    resource_id       text   not null,
    operation         text   not null,
    name              text   not null,
    requests          bigint not null,
    errors            bigint not null,
    prompt_tokens     bigint not null,
    completion_tokens bigint not null,
    total_ms          bigint not null,
    le_5              bigint not null,
    le_10             bigint not null,
    le_25             bigint not null,
    le_50             bigint not null,
    le_100            bigint not null,
    le_250            bigint not null,
    le_500            bigint not null,
    le_1000           bigint not null,
    le_2500           bigint not null,
    le_5000           bigint not null,
    le_10000          bigint not null,
    le_30000          bigint not null,
    le_60000          bigint not null,
    le_inf            bigint not null,
    primary key (event_id, minute, resource_id, operation, name)
);
insert into usage_minute
select event_id, minute, resource_id, operation, name,
    sum(requests), sum(errors), sum(prompt_tokens), sum(completion_tokens), sum(total_ms),
    sum(le_5), sum(le_10), sum(le_25), sum(le_50), sum(le_100), sum(le_250), sum(le_500),
    sum(le_1000), sum(le_2500), sum(le_5000), sum(le_10000), sum(le_30000), sum(le_60000),
    sum(le_inf)
from usage group by event_id, minute, resource_id, operation, name;

-- Over all that an attendee called, by quarter of an hour: the hours and days of
-- every time zone begin with one. quarter: UTC milliseconds of its start.
create table usage_attendee (
    event_id          text   not null,
    quarter           bigint not null,
    attendee_id       text   not null,
    requests          bigint not null,
    errors            bigint not null,
    prompt_tokens     bigint not null,
    completion_tokens bigint not null,
    primary key (event_id, quarter, attendee_id)
);
insert into usage_attendee
select event_id, minute - minute % 900000, attendee_id,
    sum(requests), sum(errors), sum(prompt_tokens), sum(completion_tokens)
from usage group by event_id, minute - minute % 900000, attendee_id;

-- Who was there in each minute.
create index usage_by_minute on usage (event_id, minute, attendee_id);
