/** HL7's official examples, written and read back. They are real input beside the project, not part of it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { render } from '../../src/fhir/content.ts';
import type { Refusal } from '../../src/fhir/outcome.ts';
import { inconsistencies } from '../support/consistency.ts';
import { BASE_URL, openTestRecords, type TestRecords } from '../support/records.ts';

const FOLDER = join(import.meta.dirname, '../../../shared/data/r4-examples');
const present = existsSync(FOLDER);
if (!present) console.info(`skipped: the HL7 examples are not at ${FOLDER}`);

/** Not valid R4 4.0.1, although published with it: what is wrong with each. */
const FAULTY: Readonly<Record<string, RegExp>> = {
  'Questionnaire-qs1.json': /"linkId" is required/,
  'SearchParameter-valueset-extensions-ValueSet-author.json': /"base" is required/,
  'SearchParameter-valueset-extensions-ValueSet-end.json': /"base" is required/,
};

const APART = ['DiagnosticReport-gingival-mass.json', 'Media-example.json', 'Media-sound.json'];

(present ? describe : describe.skip)('R4 http 3.1.0.8, 3.1.0.1: the official examples', () => {
  let it: TestRecords;
  beforeAll(async () => {
    it = await openTestRecords();
  });
  afterAll(() => it.close());

  test('each is read back as it was posted, in every number and string, but for id and meta', async () => {
    const differing: string[] = [];
    const refused: Record<string, string> = {};
    for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.json'))) {
      const text = readFileSync(join(FOLDER, file), 'utf8');
      const { resourceType } = JSON.parse(text) as { resourceType: string };
      try {
        const { id } = await it.records.create(it.operator, resourceType, text);
        const stored = await it.records.read(it.operator, resourceType, id);
        if (stored.blob) {
          const { data, ...rest } = JSON.parse(text);
          const bytes = await buffer((await it.records.openBlob(stored.blob)).stream);
          const same = exact(render(stored.content, stored)) === exact(JSON.stringify(rest));
          if (!same || bytes.toString('base64') !== data.replace(/\s+/g, '')) differing.push(file);
        } else if (exact(render(stored.content, stored)) !== exact(text)) differing.push(file);
      } catch (fault) {
        if ((fault as Refusal).status === undefined) throw fault;
        refused[file] = (fault as Refusal).message;
      }
    }
    // large data of attachments is kept apart (attachments.test.ts)
    expect(differing.sort()).toEqual(APART);
    expect(Object.keys(refused).sort()).toEqual(Object.keys(FAULTY).sort());
    for (const [file, says] of Object.entries(FAULTY)) expect(refused[file]).toMatch(says);
    expect(await inconsistencies(it.store.pool, it.definitions, { baseUrl: BASE_URL })).toEqual([]);
  }, 120_000);
});

/** JSON with numbers as their digits, keys in their order, without id and meta. */
function exact(text: string): string {
  const value = JSON.parse(text, (_key, each, context?: { source: string }) =>
    typeof each === 'number' ? `number ${context?.source}` : each,
  );
  delete value.id;
  delete value.meta?.versionId;
  delete value.meta?.lastUpdated;
  if (value.meta && Object.keys(value.meta).length === 0) delete value.meta;
  const { resourceType, meta, ...rest } = value;
  return JSON.stringify({ resourceType, meta, ...rest });
}
