-- Up Migration

-- The authorization server (src/smart): who may sign in, which apps there are, and what they were granted.

-- What is secret of it is sealed under SECRET_KEY where that is set.
create table smart_key (
  kid     text primary key,
  use     text not null,                  -- sig: of id tokens, cookies: of cookies
  value   text not null,                  -- a JWK, or base64url bytes; "sealed:" and base64url where sealed
  created timestamptz not null default now()
);

-- People who sign in. Their id is the subject (sub) that apps see.
create table account (
  id        uuid primary key default gen_random_uuid(),
  username  text not null unique,         -- lower case
  name      text not null,
  fhir_user text not null,                -- Type/id of a Practitioner, Patient, RelatedPerson or Person
  clearance text not null default 'N' check (clearance in ('N', 'R', 'V')),  -- the most confidential that they see
  password  text,                         -- argon2id in PHC form; null until one was chosen
  created   timestamptz not null default now(),
  disabled  timestamptz
);

-- Links by which a person chooses a password, once.
create table account_link (
  hash    bytea primary key,
  account uuid not null references account,
  expires timestamptz not null,
  used    timestamptz
);

-- Keys on a person's own devices, that sign in instead of a password (WebAuthn).
create table passkey (
  id      bytea primary key,              -- as its device calls it
  account uuid not null references account,
  key     bytea not null,                 -- SubjectPublicKeyInfo
  counter bigint not null,                -- rises with each use, where its device counts
  created timestamptz not null default now(),
  used    timestamptz
);
create index passkey_account on passkey (account);

-- Failed attempts to sign in, by account and by address. Kept here so that a restart forgives nothing.
create table attempt (
  key      text primary key,
  failures integer not null,
  since    timestamptz not null,
  until    timestamptz                    -- nobody is let in before it
);

create table client (
  id            text primary key,
  name          text not null,
  type          text not null,            -- public, confidential, asymmetric or backend
  secret        bytea,                    -- hash of a secret of 256 random bits
  redirect_uris text[] not null default '{}',
  scope         text not null default '', -- what may be asked for; '' of an app: whatever a person grants
  jwks          jsonb,
  jwks_uri      text,
  launch_uri    text,                     -- where an EHR launches it
  logo_uri      text,
  introspects   boolean not null default false,  -- may look at tokens of others
  created       timestamptz not null default now(),
  disabled      timestamptz
);

-- What a person has granted to an app, in one launch. Ended ones stay: they say who was let in, and until when.
create table smart_grant (
  id      bytea primary key,              -- hash, as of all that is secret here
  account uuid not null references account,
  client  text not null references client,
  payload jsonb not null,
  context jsonb not null default '{}',    -- of the launch: patient, encounter and what else the token response has
  session text,                           -- uid of the session that it ends with
  created timestamptz not null default now(),
  expires timestamptz not null,
  ended   timestamptz
);
create index smart_grant_account on smart_grant (account) where ended is null;
create index smart_grant_client on smart_grant (client) where ended is null;

-- Codes, refresh tokens, sessions, interactions and what else lives for a while.
create table smart_artifact (
  model    text not null,
  id       bytea not null,
  payload  jsonb not null,
  grant_id bytea references smart_grant,
  account  uuid,
  uid      text,                          -- of a session, which changes its id and keeps this one
  consumed timestamptz,
  expires  timestamptz not null,
  primary key (model, id)
);
create index smart_artifact_grant on smart_artifact (grant_id) where grant_id is not null;
create index smart_artifact_account on smart_artifact (account) where account is not null;
create index smart_artifact_uid on smart_artifact (uid) where uid is not null;
create index smart_artifact_expires on smart_artifact (expires);

-- What an EHR hands to an app that it launches.
create table smart_launch (
  hash     bytea primary key,
  client   text,                          -- the app that it is for, where it is for one
  account  uuid,                          -- the person that it is for, where a person made it
  context  jsonb not null,
  expires  timestamptz not null,
  consumed timestamptz
);
create index smart_launch_expires on smart_launch (expires);

-- Access tokens of the authorization server stand beside those of the command line.
alter table token
  add column grant_id bytea references smart_grant,
  add column payload jsonb;               -- what the authorization server knows of it; null: of the command line
create index token_grant on token (grant_id) where grant_id is not null;
create index token_client on token (client, expires) where payload is not null;

-- Initial access tokens, by which an app may register itself once (REGISTRATION=token).
create table client_invitation (
  hash    bytea primary key,
  expires timestamptz not null,
  used    timestamptz
);
