-- Up Migration

-- A backend service can be limited to organizations: it sees what is theirs (src/access/access.ts). Empty: it is not.
alter table client add column organizations text[] not null default '{}';
