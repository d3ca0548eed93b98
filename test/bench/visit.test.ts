/** What transactions of the benchmark are made of: only sound resources measure what sound resources cost. */
import { places, placesOf, visit, visitId, visitsBundle } from '../../bench/visit.ts';
import { loadDefinitions } from '../../src/fhir/definitions.ts';
import { loadValidator } from '../../src/fhir/validate.ts';

const nameOf = (place: number) => `${places[place]}/${visitId(7, place)}`;

test('a visit is fifty sound resources of nine types, of 0.5 to 2 KB', async () => {
  const validator = await loadValidator(await loadDefinitions());
  const resources = visit(7, nameOf);
  expect(resources.map(({ resourceType }) => resourceType)).toEqual(places);
  expect([resources.length, new Set(places).size]).toEqual([50, 9]);
  for (const resource of resources) {
    expect(validator.validate(resource, resource.resourceType)).toEqual([]);
    const { length } = JSON.stringify(resource);
    expect(length).toBeGreaterThan(500);
    expect(length).toBeLessThan(2000);
  }
});

test('each edition of a resource has another content', () => {
  const texts = [0, 1, 2].map((edition) => visit(7, nameOf, edition).map((one) => JSON.stringify(one)));
  for (const type of ['Patient', 'Encounter', 'Condition', 'Observation', 'DiagnosticReport'] as const) {
    const { first } = placesOf(type);
    expect(new Set(texts.map((each) => each[first])).size).toBe(3);
  }
});

test('in a Bundle of visits every urn: reference is the fullUrl of an entry', () => {
  const text = visitsBundle([1, 2]);
  const { entry } = JSON.parse(text) as { entry: { fullUrl: string }[] };
  const names = new Set(entry.map(({ fullUrl }) => fullUrl));
  expect(names.size).toBe(100);
  for (const [, name] of text.matchAll(/"reference":"(urn:[^"]+)"/g)) expect(names).toContain(name);
});
