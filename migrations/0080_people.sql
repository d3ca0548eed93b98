-- Up Migration

alter table account
  add column email text,                  -- where links are sent to; set by whoever registers people, never by the records
  add column needs_both boolean not null default false;  -- signs in by password and passkey, where else one of them is enough

-- Keys of passkeys are COSE keys from now on (RFC 9052 §7), as authenticators say them. They were SubjectPublicKeyInfo: of
-- P-256, or of RSA with 2048 bits and the exponent 65537. Others, which no authenticator is known to make, are gone.
create temporary table cose on commit drop as
  select id, '\xa5010203262001215820'::bytea || substr(key, 28, 32) || '\x225820'::bytea || substr(key, 60) as key
  from passkey where substr(key, 1, 27) = '\x3059301306072a8648ce3d020106082a8648ce3d03010703420004' and length(key) = 91
  union all
  select id, '\xa401030339010020590100'::bytea || substr(key, 34, 256) || '\x2143010001'::bytea
  from passkey
  where substr(key, 1, 33) = '\x30820122300d06092a864886f70d01010105000382010f003082010a0282010100'
    and substr(key, 290) = '\x0203010001';
delete from passkey where id not in (select id from cose);
update passkey set key = cose.key from cose where cose.id = passkey.id;
