/** What README.md says: its settings are those of config.ts, its commands are there, its requests work. */
import { accessSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import request from 'supertest';
import { withSettings } from '../../scripts/settings.ts';
import { CONNECTIONS } from '../../src/store/pool.ts';
import { startApp, type TestApp } from '../http/app.ts';

const ROOT = join(import.meta.dirname, '../..');
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');

test('its table of settings is made from config.ts: node scripts/settings.ts', () => {
  expect(readme).toBe(withSettings(readme));
});

test('it says how many connections to PostgreSQL a process opens', () => {
  expect(readme).toContain(`A process opens up to ${CONNECTIONS} connections.`);
});

test('every npm script that it or ARCHITECTURE.md names is one', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const text = readme + readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8');
  const named = new Set([...text.matchAll(/npm run (?:--silent )?([a-z][\w:]*)/g)].map(([, name]) => name));
  expect([...named].filter((name) => !(name! in scripts))).toEqual([]);
});

test('every file that it or ARCHITECTURE.md names is there', () => {
  const text = readme + readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8');
  const named = [
    ...text.matchAll(/\]\(([^):#]+)\)/g),
    ...text.matchAll(/`((?:src|test|bench|scripts|migrations|fixtures|profiles|bin)\/[\w./-]*)`/g),
  ].map(([, name]) => name as string);
  const missing = [...new Set(named)].filter((name) => {
    try {
      accessSync(join(ROOT, name));
      return false;
    } catch {
      return true;
    }
  });
  expect(missing).toEqual([]);
});

describe('its first requests', () => {
  let app: TestApp;

  beforeAll(async () => {
    app = await startApp();
    for (const file of ['00-organizations', '10-lopez', '12-sondergaard']) {
      const bundle = readFileSync(join(ROOT, `fixtures/${file}.json`), 'utf8');
      await app.send('post', '').type('application/fhir+json').send(bundle).expect(200);
    }
  });
  afterAll(() => app.close());

  const requests = [...readme.matchAll(/^curl .*?"\$FHIR(\S*)"(?: -d '(.*?)')?$/gms)].map(
    ([, path, body]) => ({
      path: path as string,
      body,
    }),
  );

  test('are found in it', () => expect(requests.length).toBeGreaterThan(7));

  test.each(requests)('$path', async ({ path, body }) => {
    if (body !== undefined) {
      await app.send('post', path).type('application/fhir+json').send(body).expect(201);
      return;
    }
    const url = encodeURI(`${app.url}/fhir${path}`);
    const answer = await request(url).get('').set('Authorization', `Bearer ${app.token}`).expect(200);
    if (path.includes('?')) expect(answer.body.total ?? answer.body.entry.length).toBeGreaterThan(0);
  });
});
