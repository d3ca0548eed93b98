/**
 * Every setting: name, default, meaning, check. Nothing else reads the environment; `serve --help` and the
 * table in README.md are made from `settings`.
 */

export interface Setting<T> {
  readonly name: string;
  readonly meaning: string;
  /** what `--help` shows as the default */
  readonly shown: string;
  /** @throws Error, saying what is expected, where the text is no such value */
  readonly read: (text: string | undefined, env: NodeJS.ProcessEnv) => T;
}

const text =
  (fallback: string) =>
  (given: string | undefined): string =>
    given ?? fallback;

const whole =
  (fallback: number, least: number, most: number) =>
  (given: string | undefined): number => {
    if (given === undefined) return fallback;
    const value = Number(given);
    if (!Number.isInteger(value) || value < least || value > most)
      throw new Error(`expected a whole number from ${least} to ${most}, not "${given}"`);
    return value;
  };

const oneOf =
  <T extends string>(fallback: T, ...choices: T[]) =>
  (given: string | undefined): T => {
    if (given === undefined) return fallback;
    if (!choices.includes(given as T))
      throw new Error(`expected one of ${choices.join(', ')}, not "${given}"`);
    return given as T;
  };

const MiB = 1024 * 1024;

/** Bytes from a plain number or one with KiB, MiB, GiB. */
const bytes =
  (fallback: number, least = 0) =>
  (given: string | undefined): number => {
    if (given === undefined) return fallback;
    const found = /^(\d+)\s*(KiB|MiB|GiB)?$/i.exec(given);
    const unit = { kib: 1024, mib: MiB, gib: 1024 * MiB }[found?.[2]?.toLowerCase() ?? ''] ?? 1;
    if (!found) throw new Error(`expected bytes, such as 16777216 or 16MiB, not "${given}"`);
    const value = Number(found[1]) * unit;
    if (value < least) throw new Error(`expected ${least} or more bytes, not "${given}"`);
    return value;
  };

function setting<T>(name: string, shown: string, meaning: string, read: Setting<T>['read']): Setting<T> {
  return { name, shown, meaning, read };
}

export const settings = {
  port: setting('PORT', '8080', 'TCP port to listen on', whole(8080, 0, 65535)),
  host: setting('HOST', '127.0.0.1', 'address to listen on; 0.0.0.0 for all', text('127.0.0.1')),
  baseUrl: setting(
    'BASE_URL',
    'http://localhost:PORT',
    'the URL under which clients see this server, without /fhir; links are made from it',
    (given, env) => {
      if (given === undefined) return `http://localhost:${env.PORT || 8080}`;
      const url = given.replace(/\/+$/, '');
      if (!/^https?:\/\/[^/?#]+[^?#]*$/i.test(url) || !URL.canParse(url))
        throw new Error(`expected a URL such as https://fhir.example.org, not "${given}"`);
      if (url.endsWith('/fhir')) throw new Error(`expected it without /fhir, not "${given}"`);
      return url;
    },
  ),
  databaseUrl: setting(
    'DATABASE_URL',
    'an embedded PostgreSQL',
    'postgres://user:password@host:port/database of a PostgreSQL 15 or later; unset, one is started under DATA_DIR',
    (given): string | undefined => given,
  ),
  dataDir: setting('DATA_DIR', './data', 'folder of the embedded database and of the blobs', text('./data')),
  blobsUrl: setting(
    'BLOBS_URL',
    'DATA_DIR/blobs',
    's3://bucket/prefix?endpoint=https://host&region=name keeps the bytes of Binaries in an S3 store, with the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
    (given): string | undefined => {
      if (given !== undefined && !/^s3:\/\/[^/?]/.test(given))
        throw new Error(`expected s3://bucket/prefix?endpoint=…&region=…, not "${given}"`);
      return given;
    },
  ),
  blobKeys: setting(
    'BLOB_KEYS',
    'none',
    '32 bytes in base64 (openssl rand -base64 32): the bytes of Binaries are encrypted under this key. To change it put a new one before it, after which a comma stands; without a key what was put away under it cannot be read',
    (given): readonly Buffer[] =>
      (given ?? '')
        .split(',')
        .filter(Boolean)
        .map((text) => {
          const key = Buffer.from(text.trim(), 'base64');
          if (key.length !== 32) throw new Error('expected 32 bytes in base64 for each key');
          return key;
        }),
  ),
  ffmpeg: setting(
    'FFMPEG',
    'ffmpeg',
    'the program by which video and audio lose their places and tags, get pictures, and are made to play in browsers (libx264); ffprobe stands beside it. none goes without',
    text('ffmpeg'),
  ),
  clamd: setting(
    'CLAMD',
    'none',
    'host:port or socket of a clamd that looks at all bytes before they are kept; where it does not answer none are taken',
    (given): string | undefined => given,
  ),
  logLevel: setting(
    'LOG_LEVEL',
    'info',
    'debug, info, warn, error or silent',
    oneOf<'debug' | 'info' | 'warn' | 'error' | 'silent'>('info', 'debug', 'info', 'warn', 'error', 'silent'),
  ),
  workers: setting(
    'WORKERS',
    '1',
    'server processes on this machine; one for every two cores, as PostgreSQL needs the other',
    whole(1, 1, 64),
  ),
  maxBody: setting(
    'MAX_BODY',
    '16MiB',
    'largest request body, unpacked; raw Binary content is not counted',
    bytes(16 * MiB, 1),
  ),
  maxBinary: setting('MAX_BINARY', '0', 'bytes of the largest Binary or upload; 0 for no limit', bytes(0)),
  bytesQuota: setting(
    'BYTES_QUOTA',
    '0',
    'bytes of Binaries and attachments that each access token may have kept; beyond it 507. 0 for no limit',
    bytes(0),
  ),
  maxEntries: setting(
    'MAX_ENTRIES',
    '10000',
    'entries that a batch or transaction may have, at most',
    whole(10_000, 1, 1_000_000),
  ),
  deleteMatches: setting(
    'DELETE_MATCHES',
    '1',
    'resources that one conditional delete may delete; where more match, none is',
    whole(1, 1, 100),
  ),
  quota: setting(
    'QUOTA',
    '0',
    'requests a minute that each access token may make of each process, and each address with tokens that are none; beyond it 429. 0 for no limit',
    whole(0, 0, 1_000_000),
  ),
  searchTimeout: setting(
    'SEARCH_TIMEOUT',
    '60000',
    'milliseconds that one statement of a search may take; where it takes longer the answer is 503',
    whole(60_000, 1, 3_600_000),
  ),
  dicomSend: setting(
    'DICOM_SEND',
    'none',
    'where ImagingStudy/[id]/$send may send studies: URLs of DICOMweb servers, apart by commas; after a blank the value of the header Authorization, where one is needed',
    (given): readonly { readonly prefix: string; readonly authorization?: string }[] =>
      (given ?? '')
        .split(',')
        .filter((text) => text.trim() !== '')
        .map((text) => {
          const [, prefix = '', authorization] =
            /^\s*(https?:\/\/[^\s?#]+?)\/*(?:\s+(.+?))?\s*$/.exec(text) ?? [];
          if (!URL.canParse(prefix))
            throw new Error('expected the URL of a DICOMweb server, such as https://pacs.example/dicomweb');
          return { prefix, ...(authorization ? { authorization } : {}) };
        }),
  ),
  dicomIssuers: setting(
    'DICOM_ISSUERS',
    'none',
    "whose numbers the Patient IDs of DICOM instances are: ISSUER=URI of the identifier system, apart by commas, with * for instances that name no issuer; an issuer that is not named has a system of this server's own",
    (given): ReadonlyMap<string, string> =>
      new Map(
        (given ?? '')
          .split(',')
          .filter((text) => text.trim() !== '')
          .map((text): [string, string] => {
            const at = text.indexOf('=');
            const [issuer, system] = [text.slice(0, at).trim(), text.slice(at + 1).trim()];
            if (at < 1 || !/^\w[\w+.-]*:\S+$/.test(system))
              throw new Error(`expected ISSUER=URI, such as *=https://hospital.example/mrn, not "${text}"`);
            return [issuer, system];
          }),
      ),
  ),
  readOnly: setting(
    'READ_ONLY',
    'false',
    'true is for maintenance: reads go on, all that writes is answered with 503',
    (given) => oneOf<'true' | 'false'>('false', 'true', 'false')(given) === 'true',
  ),
  secretKey: setting(
    'SECRET_KEY',
    'none',
    'a secret of 32 characters or more under which signing keys are kept in the database; without it they are kept as they are',
    (given): string | undefined => {
      if (given !== undefined && given.length < 32)
        throw new Error('expected 32 characters or more, such as those of: openssl rand -base64 32');
      return given;
    },
  ),
  trustProxy: setting(
    'TRUST_PROXY',
    '0',
    'proxies before this server that add to X-Forwarded-For: so many addresses from its end on are believed',
    whole(0, 0, 10),
  ),
  registration: setting(
    'REGISTRATION',
    'off',
    'whether apps may register themselves: off, token (with one of `consilium client invite`), or open, where each waits for `consilium client enable`',
    oneOf<'off' | 'token' | 'open'>('off', 'off', 'token', 'open'),
  ),
  smtpUrl: setting(
    'SMTP_URL',
    'none',
    'smtps://user:password@host:465, or smtp://…:587 with STARTTLS: the mail server by which links to choose a password are sent; without one the command line prints them',
    (given): URL | undefined => {
      if (!given) return undefined;
      const url = URL.canParse(given) ? new URL(given) : undefined;
      // what was given is not said: it may hold a password
      if (!url || !['smtp:', 'smtps:'].includes(url.protocol) || url.hostname === '')
        throw new Error('expected smtps:// or smtp:// with a host');
      return url;
    },
  ),
  mailFrom: setting(
    'MAIL_FROM',
    'consilium@ the host of BASE_URL',
    'the address that this mail comes from',
    (given): string | undefined => {
      if (given && !/^[^\s@<>,;]+@[^\s@<>,;]+$/.test(given))
        throw new Error(`expected an address, such as records@clinic.example, not "${given}"`);
      return given || undefined;
    },
  ),
  references: setting(
    'REFERENCES',
    'accept',
    'check refuses a write whose local references lead nowhere; accept stores it',
    oneOf<'accept' | 'check'>('accept', 'accept', 'check'),
  ),
  audit: setting(
    'AUDIT',
    'strict',
    'the trail of who was shown what: strict, it is committed before anything is answered; relaxed, meanwhile; off, there is none',
    oneOf<'strict' | 'relaxed' | 'off'>('strict', 'strict', 'relaxed', 'off'),
  ),
  auditMonths: setting(
    'AUDIT_MONTHS',
    '0',
    'months for which that trail is kept, besides the current one; 0 for ever',
    whole(0, 0, 1200),
  ),
  auditSyslog: setting(
    'AUDIT_SYSLOG',
    'none',
    'udp://host:514, tcp://host:601 or tls://host:6514 of a SIEM: each entry of the audit trail is sent there as syslog (RFC 5424) with an AuditEvent as JSON; tls takes ?ca=FILE&cert=FILE&key=FILE',
    (given): URL | undefined => {
      if (given === undefined) return undefined;
      const url = URL.canParse(given) ? new URL(given) : undefined;
      if (!url || !['udp:', 'tcp:', 'tls:'].includes(url.protocol) || url.hostname === '' || url.port === '')
        throw new Error(`expected udp://, tcp:// or tls:// with host and port, not "${given}"`);
      return url;
    },
  ),
  accessPolicy: setting(
    'ACCESS_POLICY',
    'treatment',
    'whose records a practitioner sees: treatment, of the patients whom they or an organization that they work for treat; all, of all patients',
    oneOf<'treatment' | 'all'>('treatment', 'treatment', 'all'),
  ),
} as const;

export type Config = { readonly [K in keyof typeof settings]: ReturnType<(typeof settings)[K]['read']> };

/**
 * Reads all settings. An empty variable is as one that is not set.
 *
 * @param env the environment, `process.env` at the door
 * @throws    Error naming the setting and what is expected
 */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const entries = Object.entries(settings).map(([key, { name, read }]) => {
    try {
      return [key, read(env[name] || undefined, env)];
    } catch (fault) {
      throw new Error(`${name}: ${(fault as Error).message}`);
    }
  });
  return Object.fromEntries(entries) as Config;
}
