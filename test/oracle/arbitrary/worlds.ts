/** Small worlds of resources of several types, with their past and what was deleted. */
import fc from 'fast-check';
import { WORLD } from './elements.ts';
import { resourceOf, TYPES } from './resources.ts';

/** A resource with all it has been. */
export interface Entry {
  readonly type: string;
  readonly id: string;
  /** what it is, without its type and id */
  readonly now: object;
  /** what it was before */
  readonly before?: object;
  readonly deleted: boolean;
}

export type World = readonly Entry[];

/** The first are those that others refer to. */
const IDS = ['1', '11', 'p.1', '2', '3', '4', '5', '6', '7', '8'].map((id) => `${WORLD}${id}`);

/** What is in another resource, and found by chains alone. */
const CONTAINED: Readonly<Record<string, string>> = { subject: 'Patient', patient: 'Patient' };

/** Some refer to what is in them. */
const withContained = (type: string): fc.Arbitrary<object> =>
  fc.tuple(resourceOf(type), resourceOf('Patient'), fc.nat(7)).map(([own, patient, chance]) => {
    const [member] = Object.keys(CONTAINED).filter((one) => one in own);
    if (!member || chance > 0) return own;
    return {
      ...own,
      contained: [{ resourceType: 'Patient', id: 'c', ...patient, text: undefined, meta: undefined }],
      [member]: { reference: '#c' },
    };
  });

/** Labels of what a resource was would stay (R4 resource.html#Meta): it had no `meta`. */
const withoutMeta = (resource: object): object =>
  JSON.parse(JSON.stringify({ ...resource, meta: undefined }));

const entriesOf = (type: string): fc.Arbitrary<Entry[]> =>
  fc
    .array(
      fc.record({
        now: withContained(type),
        before: fc.option(resourceOf(type), { freq: 5, nil: undefined }),
        chance: fc.nat(12),
      }),
      { minLength: 3, maxLength: IDS.length, size: '+1' },
    )
    .map((all) =>
      all.map(({ now, before, chance }, i) => ({
        type,
        id: IDS[i] as string,
        now: JSON.parse(JSON.stringify(now)),
        before: before && withoutMeta(before),
        deleted: chance === 0,
      })),
    );

export const world: fc.Arbitrary<World> = fc.tuple(...TYPES.map(entriesOf)).map((all) => all.flat());

/** The same under another name: what is called so in a text begins with it. */
export const named = <T>(value: T, name: string): T =>
  JSON.parse(JSON.stringify(value).replaceAll(WORLD, name));

/** What codes and value sets mean in all worlds. */
export const TERMINOLOGY: readonly object[] = [
  {
    resourceType: 'CodeSystem',
    id: 'oracle-a',
    url: 'http://a',
    status: 'active',
    content: 'complete',
    hierarchyMeaning: 'is-a',
    concept: [{ code: 'x', concept: [{ code: 'y' }] }, { code: 'X' }],
  },
  {
    resourceType: 'ValueSet',
    id: 'oracle-some',
    url: 'http://a/vs/some',
    status: 'active',
    compose: {
      include: [
        { system: 'http://a', concept: [{ code: 'x' }, { code: 'X' }] },
        { system: 'http://a/b', concept: [{ code: 'y' }] },
      ],
    },
  },
  {
    resourceType: 'ValueSet',
    id: 'oracle-below',
    url: 'http://a/vs/below',
    status: 'active',
    compose: {
      include: [{ system: 'http://a', filter: [{ property: 'concept', op: 'is-a', value: 'x' }] }],
    },
  },
];
