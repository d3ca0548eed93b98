/** Profiles, tags and security labels of a resource as sets (R4 resource.html#Meta, resource-operation-meta-add.html). */
import type { Coding } from 'fhir/r4.js';
import { invalid } from './outcome.ts';

/** Meta as it was parsed: numbers in extensions may be kept as their digits. */
export type Meta = Readonly<Record<string, unknown>>;

/** Their members of Meta. Of tags and labels the system and code are the identity, of profiles the url. */
const SETS = ['profile', 'tag', 'security'] as const;

/**
 * Adds those that are not there.
 *
 * @returns undefined where all are
 */
export function withMeta(meta: Meta, added: Meta): Meta | undefined {
  const result: Record<string, unknown> = { ...meta };
  let changed = false;
  for (const name of SETS) {
    const own = membersOf(meta, name);
    const known = new Set(own.map(identityOf));
    const fresh: unknown[] = [];
    for (const one of membersOf(added, name)) {
      const identity = identityOf(one);
      if (known.has(identity)) continue;
      known.add(identity);
      fresh.push(one);
    }
    if (fresh.length === 0) continue;
    result[name] = [...own, ...fresh];
    changed = true;
  }
  return changed ? result : undefined;
}

/**
 * Takes away those that are there.
 *
 * @returns undefined where none is
 */
export function withoutMeta(meta: Meta, removed: Meta): Meta | undefined {
  const result: Record<string, unknown> = { ...meta };
  let changed = false;
  for (const name of SETS) {
    const own = membersOf(meta, name);
    const gone = new Set(membersOf(removed, name).map(identityOf));
    const stays = own.map((one) => !gone.has(identityOf(one)));
    if (!stays.includes(false)) continue;
    changed = true;
    // Extensions of urls stand beside them, in the same places (R4 json.html#primitive).
    for (const member of [name, `_${name}`]) {
      const values = meta[member];
      if (!Array.isArray(values)) continue;
      const left = values.filter((_, i) => stays[i]);
      if (left.some((one) => one !== null)) result[member] = left;
      else delete result[member];
    }
  }
  return changed ? result : undefined;
}

function membersOf(meta: Meta, name: (typeof SETS)[number]): readonly unknown[] {
  const members = meta[name] ?? [];
  const sound =
    Array.isArray(members) &&
    members.every((one) => (name === 'profile' ? typeof one !== 'object' || one === null : isCoding(one)));
  if (!sound)
    throw invalid(
      'structure',
      `meta.${name} is an array of ${name === 'profile' ? 'canonical urls' : 'Codings'}`,
      `Meta.${name}`,
    );
  return members;
}

const isCoding = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function identityOf(member: unknown): string {
  if (typeof member !== 'object' || member === null) return String(member);
  const { system = '', code = '' } = member as Coding;
  return `${system}|${code}`;
}
