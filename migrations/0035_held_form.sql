-- Forms that wait in the store: for somebody to sign in again, or to confirm who they are.
-- session: the sign-in that must send the form; null where it had ended before the form was sent.
-- browser: the digest of the cookie of the browser that sent it; null where there is a session.
-- sending: it is being sent, and by nobody else.
-- fields_sealed is gone within the hour, so it is not re-encrypted when the master key changes.

create table held_form (
    id            text   not null primary key,
    owner_id      text   not null references owner (id) on delete cascade,
    session       text   references owner_session (digest) on delete cascade,
    browser       text,
    path          text   not null,
    fields_sealed text   not null,
    created_at    bigint not null,
    expires_at    bigint not null,
    sending       bigint not null default 0 check (sending in (0, 1))
);

create index held_form_by_owner on held_form (owner_id);
create index held_form_by_session on held_form (session);
