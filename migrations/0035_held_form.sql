-- Forms that wait in the store: for somebody to sign in again, or to confirm who they are.
-- session: the sign-in that must send the form; null where it had ended before the form was sent.
-- fields_sealed is gone within the hour, so it is not re-encrypted when the master key changes.

create table held_form (
    id            text   not null primary key,
    owner_id      text   not null references owner (id) on delete cascade,
    session       text   references owner_session (digest) on delete cascade,
    path          text   not null,
    fields_sealed text   not null,
    created_at    bigint not null,
    expires_at    bigint not null
);

create index held_form_by_owner on held_form (owner_id);
create index held_form_by_session on held_form (session);
