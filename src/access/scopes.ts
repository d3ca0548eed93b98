/** The grammar of scopes (SMART App Launch 2.2, scopes-and-launch-context.html#scopes-for-requesting-fhir-resources). */

/** The letters of a SMART v2 scope: create, read, update, delete, search. Each means itself. */
export type Letter = 'c' | 'r' | 'u' | 'd' | 's';

/** Whose data a scope is about. */
export type Level = 'patient' | 'user' | 'system';

export interface Scope {
  /** as it was written, in the syntax of SMART v1 or v2 */
  readonly text: string;
  readonly level: Level;
  /** a resource type, or `*` */
  readonly type: string;
  readonly letters: ReadonlySet<Letter>;
  /** of a granular scope: the search that its resources have to meet, as in a URL */
  readonly query?: string;
}

const V1: Readonly<Record<string, string>> = { read: 'rs', write: 'cud', '*': 'cruds' };

/**
 * Reads one scope for resources: `level/Type.letters`, with the letters in the order cruds and a query perhaps (v2), or
 * `level/Type.read`, `.write`, `.*` (v1).
 *
 * @returns undefined where it is none: an unknown type, no or wrong letters, or another sort of scope (`openid`)
 */
export function readScope(text: string, isResourceType: (type: string) => boolean): Scope | undefined {
  const found = /^(patient|user|system)\/(\*|[A-Z][A-Za-z]+)\.(read|write|\*|c?r?u?d?s?)(?:\?(\S+))?$/.exec(
    text,
  );
  const [, level = '', type = '', permission = '', query] = found ?? [];
  const v1 = Object.hasOwn(V1, permission);
  const letters = V1[permission] ?? permission;
  if (letters === '' || !(type === '*' || isResourceType(type)) || (v1 && query !== undefined))
    return undefined;
  return {
    text,
    level: level as Level,
    type,
    letters: new Set(letters as Iterable<Letter>),
    ...(query === undefined ? {} : { query }),
  };
}
