/** Settings, as they are read from the environment: what is no value of theirs is refused before anything is done. */
import { type Config, readConfig, settings } from '../src/config.ts';

test('an empty variable is as one that is not set', () => {
  const empty = Object.fromEntries(Object.values(settings).map(({ name }) => [name, '']));
  expect(readConfig(empty)).toEqual(readConfig({}));
});

test.each<[string, string, Partial<Config>]>([
  ['BASE_URL', 'https://fhir.example.org/', { baseUrl: 'https://fhir.example.org' }],
  ['BASE_URL', 'https://example.org/health', { baseUrl: 'https://example.org/health' }],
  ['PORT', '9000', { port: 9000, baseUrl: 'http://localhost:9000' }],
  ['MAX_BODY', '2 GiB', { maxBody: 2 * 1024 ** 3 }],
  ['READ_ONLY', 'true', { readOnly: true }],
])('%s=%s', (name, value, read) => {
  expect(readConfig({ [name]: value })).toMatchObject(read);
});

test.each([
  ['BASE_URL', 'localhost:8080', /such as https:\/\//],
  ['BASE_URL', 'ftp://example.org', /such as https:\/\//],
  ['BASE_URL', 'https://example.org/?a=b', /such as https:\/\//],
  ['BASE_URL', 'https://example.org/fhir', /without \/fhir/],
  ['PORT', '-1', /whole number from 0 to 65535/],
  ['WORKERS', '1.5', /whole number from 1 to 64/],
  ['MAX_BODY', '16MB', /16777216 or 16MiB/],
  ['MAX_BODY', '0', /1 or more bytes/],
  ['AUDIT', 'on', /strict, relaxed, off/],
  ['SECRET_KEY', 'short', /32 characters or more/],
  ['BLOB_KEYS', 'AAAA', /32 bytes in base64/],
  ['BLOBS_URL', 'http://bucket', /s3:\/\//],
  ['AUDIT_SYSLOG', 'tcp://siem', /host and port/],
])('%s=%s is refused, and says what is expected', (name, value, expected) => {
  const read = () => readConfig({ [name]: value });
  expect(read).toThrow(new RegExp(`^${name}: `));
  expect(read).toThrow(expected);
});
