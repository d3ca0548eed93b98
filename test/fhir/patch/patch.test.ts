import type { Refusal } from '../../../src/fhir/outcome.ts';
import { readJsonPatch } from '../../../src/fhir/patch/json-patch.ts';
import { applyPatch } from '../../../src/fhir/patch/patch.ts';

const patched = (resource: object, patch: readonly object[]) =>
  JSON.parse(applyPatch(readJsonPatch(JSON.stringify(patch)), JSON.stringify(resource)));

function refused(resource: object, patch: readonly object[]): Refusal {
  try {
    patched(resource, patch);
  } catch (fault) {
    return fault as Refusal;
  }
  throw new Error('it was not refused');
}

describe('R4 http 3.1.0.8: a patch cannot make another resource of it', () => {
  const patient = { resourceType: 'Patient', id: 'a', meta: { versionId: '1' } };
  test.each([
    ['id', { op: 'replace', path: '/id', value: 'b' }],
    ['id', { op: 'remove', path: '/id' }],
    ['type', { op: 'replace', path: '/resourceType', value: 'Person' }],
    ['type', { op: 'remove', path: '/resourceType' }],
    ['nothing that is a resource', { op: 'replace', path: '', value: [] }],
    ['nothing that is a resource', { op: 'replace', path: '', value: null }],
  ])('%s', (what, operation) => {
    const { status, message } = refused(patient, [operation]);
    expect(status).toBe(422);
    expect(message).toContain(what);
  });

  test('id and versionId can be tested', () => {
    const patch = [
      { op: 'test', path: '/id', value: 'a' },
      { op: 'test', path: '/meta/versionId', value: '1' },
    ];
    expect(patched(patient, patch)).toEqual(patient);
  });
});

describe('R4 http 3.1.0.8: no narrative is left that may have become unsafe', () => {
  const narrative = (status: string) => ({
    status,
    div: '<div xmlns="http://www.w3.org/1999/xhtml">Ann</div>',
  });
  const patient = (status: string) => ({ resourceType: 'Patient', text: narrative(status), active: true });
  const change = { op: 'replace', path: '/active', value: false };

  test.each(['generated', 'empty'])('%s goes', (status) => {
    expect(patched(patient(status), [change])).toEqual({ resourceType: 'Patient', active: false });
  });

  test.each(['additional', 'extensions'])('%s: the patch is refused, and says how to mend it', (status) => {
    const { status: http, issues } = refused(patient(status), [change]);
    expect(http).toBe(422);
    expect(issues[0]).toMatchObject({ code: 'processing', expression: 'Patient.text' });
    expect(issues[0]!.diagnostics).toContain(`"${status}"`);
    expect(issues[0]!.diagnostics).toContain('`text`');
  });

  test('stays where the patch sets it, even to the same', () => {
    const div = { op: 'replace', path: '/text/div', value: narrative('').div };
    const expected = { ...patient('additional'), active: false };
    expect(patched(patient('additional'), [change, div])).toEqual(expected);
    const { text: _text, ...without } = expected;
    expect(patched(patient('additional'), [change, { op: 'remove', path: '/text' }])).toEqual(without);
  });

  test('a test of it does not count', () => {
    const look = { op: 'test', path: '/text/status', value: 'additional' };
    expect(refused(patient('additional'), [change, look]).status).toBe(422);
  });

  test('stays where no data changes: nothing at all, or tags and labels', () => {
    const back = { op: 'replace', path: '/active', value: true };
    expect(patched(patient('additional'), [change, back])).toEqual(patient('additional'));
    const tag = { op: 'add', path: '/meta', value: { tag: [{ code: 'x' }] } };
    expect(patched(patient('generated'), [tag]).text).toEqual(narrative('generated'));
  });
});
