-- Up Migration

-- Who has broken the glass: a practitioner sees a patient for a while whom they do not treat. It is never changed, and counted.
create table emergency (
  grantee bigint not null,       -- number of the Practitioner
  patient bigint not null,
  agent   integer not null,      -- number of the access token by which it was done
  reason  text not null,
  made    timestamptz not null default now(),
  until   timestamptz not null,
  primary key (grantee, patient, made)
);
