-- What a one-time link is for: 'recovery' ends what was there before it, 'account' adds a way in.
alter table setup_link add column kind text not null default 'recovery';
