/**
 * Synthea's bundles through HTTP. They are real input beside the project, not part of it. A handful of each folder;
 * ALL_DATA=1 takes them all.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { inconsistencies } from '../../support/consistency.ts';
import { startApp, type TestApp } from '../app.ts';
import { type Answered, exchanging, FHIR, getting, placeOf, statusesOf } from './bundles.ts';

const FOLDER = join(import.meta.dirname, '../../../../shared/data/synthea');
const all = process.env.ALL_DATA === '1';
const HANDFUL = 4;

/** The smallest files first. */
function filesOf(folder: string): string[] {
  const path = join(FOLDER, folder);
  const files = readdirSync(path).map((name) => join(path, name));
  return files.sort((a, b) => statSync(a).size - statSync(b).size);
}

function suite(folder: string, tests: () => void): void {
  const present = existsSync(join(FOLDER, folder));
  if (!present) console.info(`skipped: Synthea's bundles are not at ${join(FOLDER, folder)}`);
  (present ? describe : describe.skip)(`Synthea's ${folder}`, tests);
}

interface Sent {
  readonly fullUrl: string;
  readonly resource: { readonly resourceType: string };
  readonly request: { readonly ifNoneExist?: string };
}

/** With numbers as their digits. */
const exact = (text: string) =>
  JSON.parse(text, (_key, each, context?: { source: string }) =>
    typeof each === 'number' ? `number ${context?.source}` : each,
  );

async function send(app: TestApp, text: string): Promise<Answered[]> {
  const { status, body } = await app.send('post', '/').type(FHIR).send(text);
  expect({ status, issue: body.issue }).toEqual({ status: 200 });
  return body.entry;
}

/** The resources at the places of the answers, by one batch of reads; numbers as their digits. */
async function readBack(app: TestApp, answers: readonly Answered[]): Promise<Record<string, unknown>[]> {
  const entry = answers.map((answer) => getting(placeOf(answer)));
  const read = await app.send('post', '/').type(FHIR).send({ resourceType: 'Bundle', type: 'batch', entry });
  expect(read.status).toBe(200);
  return exact(read.text).entry.map(({ resource }: Answered) => resource);
}

/** What was sent, as it is to be read: fullUrls and conditions of references told as places. */
function expected(text: string, answers: readonly Answered[], found: ReadonlyMap<string, string>): object[] {
  const sent: Sent[] = JSON.parse(text).entry;
  const places = new Map(sent.map(({ fullUrl }, index) => [fullUrl, placeOf(answers[index]!)]));
  const renamed = text.replace(/("reference"\s*:\s*)"([^"]*)"/g, (whole, name: string, reference: string) => {
    const place = places.get(reference) ?? found.get(reference);
    return place ? `${name}"${place}"` : whole;
  });
  return exact(renamed).entry.map(({ resource }: { resource: object }) => resource);
}

/** Without what the server gives. */
function content({ id: _, meta, ...rest }: Record<string, unknown>): object {
  const { versionId: _v, lastUpdated: _l, ...labels } = (meta ?? {}) as Record<string, unknown>;
  return { labels, ...rest };
}

suite('smart-r4', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ MAX_BODY: '64MiB' });
  });
  afterAll(() => app.close());

  test(
    'R4 http 3.1.0.11.2: each transaction goes through, and is read back as it was sent but for names',
    async () => {
      const files = filesOf('smart-r4').slice(0, all ? undefined : HANDFUL);
      for (const file of files) {
        const text = readFileSync(file, 'utf8');
        const answers = await send(app, text);
        expect(new Set(statusesOf(answers))).toEqual(new Set(['201']));
        const stored = await readBack(app, answers);
        expect(stored.map(content)).toEqual(
          expected(text, answers, new Map()).map((each) => content(each as Record<string, unknown>)),
        );
        expect(JSON.stringify(stored)).not.toMatch(/"reference":"urn:/);
      }
      expect(await inconsistencies(app.app.pool, app.app.definitions, { baseUrl: app.base })).toEqual([]);
    },
    all ? 600_000 : 60_000,
  );
});

suite('blaze-uscore', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ MAX_BODY: '64MiB' });
  });
  afterAll(() => app.close());
  const it = exchanging(() => app);

  const isFirst = (file: string) => /\/0-[^/]*$/.test(file);
  /** The condition of each entry to the place it leads to. */
  const found = new Map<string, string>();

  test('R4 http 3.1.0.11.1, 3.1.0.8.1: hospitals and practitioners, by ifNoneExist', async () => {
    const files = filesOf('blaze-uscore').filter(isFirst);
    expect(files).toHaveLength(2);
    for (const file of files) {
      const text = readFileSync(file, 'utf8');
      const answers = await send(app, text);
      expect(new Set(statusesOf(answers))).toEqual(new Set(['201']));
      for (const [index, { resource, request }] of (JSON.parse(text).entry as Sent[]).entries())
        if (request.ifNoneExist)
          found.set(`${resource.resourceType}?${request.ifNoneExist}`, placeOf(answers[index]!));
    }
  }, 60_000);

  test('posted twice: nothing twice for ifNoneExist', async () => {
    const counts = async () =>
      Promise.all(['Organization', 'Location', 'Practitioner'].map((type) => it.count(type)));
    const before = await counts();
    for (const file of filesOf('blaze-uscore').filter(isFirst)) {
      const text = readFileSync(file, 'utf8');
      const answers = await send(app, text);
      for (const [index, { resource, request }] of (JSON.parse(text).entry as Sent[]).entries()) {
        const answer = answers[index]!;
        if (!request.ifNoneExist) continue;
        expect(answer.response.status).toBe('200 OK');
        expect(placeOf(answer)).toBe(found.get(`${resource.resourceType}?${request.ifNoneExist}`));
      }
    }
    expect(await counts()).toEqual(before);
  }, 60_000);

  test(
    'R4 http 3.1.0.11.2: each patient’s transaction goes through; conditional references lead to what they name',
    async () => {
      const files = filesOf('blaze-uscore').filter((file) => !isFirst(file));
      for (const file of files.slice(0, all ? undefined : HANDFUL)) {
        const text = readFileSync(file, 'utf8');
        const answers = await send(app, text);
        expect(new Set(statusesOf(answers))).toEqual(new Set(['201']));
        const stored = await readBack(app, answers);
        expect(JSON.stringify(stored)).not.toMatch(/"reference":"(urn:|[A-Z]\w+\?)/);
        expect(stored.map(content)).toEqual(
          expected(text, answers, found).map((each) => content(each as Record<string, unknown>)),
        );
      }
      expect(await inconsistencies(app.app.pool, app.app.definitions, { baseUrl: app.base })).toEqual([]);
    },
    all ? 600_000 : 60_000,
  );

  test('without what they refer to they fail whole, naming entry and condition', async () => {
    const empty = await startApp({ MAX_BODY: '64MiB' });
    try {
      const [file] = filesOf('blaze-uscore').filter((each) => !isFirst(each));
      const { status, body } = await empty.send('post', '/').type(FHIR).send(readFileSync(file!, 'utf8'));
      expect(status).toBe(412);
      expect(body.issue[0]).toMatchObject({
        code: 'not-found',
        expression: [expect.stringMatching(/^Bundle\.entry\[\d+\]/)],
      });
      expect((await empty.send('get', '/_history')).body.entry).toBeUndefined();
    } finally {
      await empty.close();
    }
  });
});
