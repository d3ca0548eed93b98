/** Definitions as of now: those of the standard, and the SearchParameters that were posted to this server. */
import type { SearchParameter } from './search-parameter.ts';

/** A posted SearchParameter that acts, or will. */
export interface Posted {
  /** id of its resource */
  readonly id: string;
  readonly parameter: SearchParameter & { readonly posted: number };
  /** whether all resources are indexed by it; one before it of the same resource answers until then */
  readonly answers: boolean;
  /** id of the job that indexes by it */
  readonly job: string;
  /** how far that is, when it was last looked at; undefined where it ended, and did not get there */
  readonly percent: number | undefined;
}

export interface PostedSet {
  /** rises with each change of what resources are indexed by */
  readonly version: number;
  readonly parameters: readonly Posted[];
}

/** What of the standard's definitions is needed. */
interface Standard {
  searchParameters(type: string): readonly SearchParameter[];
  elements(type: string): ReadonlyMap<string, unknown>;
}

/** What becomes of these, as fhir/definitions.ts describes it. */
interface Open extends Standard {
  indexedBy(type: string): readonly SearchParameter[];
  readonly posted: PostedSet;
  adopt(posted: PostedSet): void;
}

interface Lists {
  readonly answering: readonly SearchParameter[];
  readonly indexed: readonly SearchParameter[];
}

/** Makes definitions that follow what is posted. Types that nothing was posted for keep the standard's own lists. */
export function withPosted<S extends Standard>(standard: S): S & Open {
  let set: PostedSet = { version: 0, parameters: [] };
  let byType = new Map<string, Lists>();

  function listsOf(type: string): Lists {
    const known = byType.get(type);
    if (known) return known;
    const own = standard.searchParameters(type);
    if (own.length === 0) return { answering: own, indexed: own };
    const posted = set.parameters.filter(({ parameter }) => isFor(standard, parameter, type));
    const lists = {
      answering: sorted(
        own,
        posted.filter(({ answers }) => answers),
      ),
      indexed: sorted(own, posted),
    };
    byType.set(type, lists);
    return lists;
  }

  return {
    ...standard,
    searchParameters: (type) => listsOf(type).answering,
    indexedBy: (type) => listsOf(type).indexed,
    get posted() {
      return set;
    },
    adopt(next) {
      // What did not change stays the same object: what was made of it stays right.
      const known = new Map(set.parameters.map((one) => [one.parameter.posted, one.parameter]));
      const parameters = next.parameters.map((one) => ({
        ...one,
        parameter: known.get(one.parameter.posted) ?? one.parameter,
      }));
      const before = byType;
      set = { version: next.version, parameters };
      byType = new Map();
      for (const [type, lists] of before) {
        const now = listsOf(type);
        byType.set(type, {
          answering: same(lists.answering, now.answering),
          indexed: same(lists.indexed, now.indexed),
        });
      }
    },
  };
}

/** Whether a parameter's bases are the type, or what it is a kind of. */
export function isFor(
  { elements }: Pick<Standard, 'elements'>,
  { base }: Pick<SearchParameter, 'base'>,
  type: string,
): boolean {
  return (
    base.includes(type) ||
    base.includes('Resource') ||
    (base.includes('DomainResource') && elements(type).has('contained'))
  );
}

function sorted(own: readonly SearchParameter[], posted: readonly Posted[]): readonly SearchParameter[] {
  if (posted.length === 0) return own;
  return [...own, ...posted.map(({ parameter }) => parameter)].sort((a, b) => (a.code < b.code ? -1 : 1));
}

function same<T>(before: readonly T[], now: readonly T[]): readonly T[] {
  return before.length === now.length && before.every((one, i) => one === now[i]) ? before : now;
}
