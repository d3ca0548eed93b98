import { type Definitions, loadDefinitions } from '../../src/fhir/definitions.ts';
import { Refusal } from '../../src/fhir/outcome.ts';
import { readPath } from '../../src/http/path.ts';

let definitions: Definitions;
beforeAll(async () => {
  definitions = await loadDefinitions();
});

/** The refusal of a path, as status and message. */
function refused(text: string, method = 'GET'): string {
  try {
    return JSON.stringify(readPath(text, method, definitions));
  } catch (thrown) {
    if (!(thrown instanceof Refusal)) throw thrown;
    return `${thrown.status} ${thrown.issues[0]?.code}: ${thrown.message}`;
  }
}

describe('R4 http.html#styleguide: what a path names', () => {
  test.each([
    ['', '/', '', '', ''],
    ['/', '/', '', '', ''],
    ['/metadata', '/metadata', '', '', ''],
    ['/_history', '/_history', '', '', ''],
    ['/Patient', '/:type', 'Patient', '', ''],
    ['/Patient/', '/:type', 'Patient', '', ''],
    ['/Patient/_search', '/:type/_search', 'Patient', '', ''],
    ['/Patient/_history', '/:type/_history', 'Patient', '', ''],
    ['/Patient/a-1.B', '/:type/:id', 'Patient', 'a-1.B', ''],
    ['/Patient/a/', '/:type/:id', 'Patient', 'a', ''],
    ['/%50atient/%61', '/:type/:id', 'Patient', 'a', ''],
    ['/Patient/a/_history', '/:type/:id/_history', 'Patient', 'a', ''],
    ['/Patient/a/_history/7', '/:type/:id/_history/:version', 'Patient', 'a', '7'],
  ])('"%s" is %s', (text, pattern, type, id, version) => {
    expect(readPath(text, 'GET', definitions)).toEqual({ pattern, type, id, version });
  });

  test.each([
    ['/Patint/1', /^404 not-supported: .*did you mean Patient\?/],
    ['/patient', /^404 not-supported: .*did you mean Patient\?/],
    ['/__proto__', /^404 not-supported/],
    ['/Xyzzyplugh', /^404 not-supported: "Xyzzyplugh" is no resource type of FHIR R4$/],
    ['/Patient/$lastn', /^404 not-supported: \$lastn is not called here/],
    ['/$nonsense', /^404 not-supported: \$nonsense is no operation/],
    ['/Patient/1/$nonsense', /^404 not-supported/],
    ['/Patient/a b', /^404 not-found/],
    ['/Patient/a_b', /^404 not-found/],
    [`/Patient/${'x'.repeat(65)}`, /^404 not-found/],
    ['/Patient/..%2F..%2Fetc', /^404 not-found/],
    ['/Patient/1/_history/%00', /^404 not-found/],
    ['/Group/1/Observation', /^404 not-supported: .*compartment of Group, only of .*Encounter/],
    ['/Patient/1/nonsense', /^404 not-found/],
    ['/Patient//_history', /^404 not-found/],
    ['/Patient/1/_history/1/2', /^404 not-found/],
    ['/Patient/%zz', /^400 value: .*percent escape/],
    ['/Patient/%C3%28', /^400 value: .*percent escape/],
  ])('%s is refused', (text, message) => {
    expect(refused(text)).toMatch(message);
  });

  test('R4 http.html#upsert: an impossible id is the mistake of who puts there', () => {
    expect(refused('/Patient/a_b', 'PUT')).toMatch(/^400 value: "a_b" cannot be the id of a Patient/);
  });
});
