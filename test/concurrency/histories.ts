/** Histories in few words, for tests of the checker. */
import type { Content, Operation, Step, Version } from './history.ts';

export type Told = { at: [invoked: number, returned?: number]; kind?: Operation['kind']; status?: number };

/** One operation; a Bundle where it has several steps. */
export function asked(
  { at: [invoked, returned = Infinity], kind, status }: Told,
  ...steps: Step[]
): Operation {
  const known = returned === Infinity ? undefined : (steps[0]?.answer?.status ?? 200);
  const whole = status ?? (kind ? (known === undefined ? undefined : 200) : known);
  return { kind: kind ?? 'single', client: 0, server: 0, invoked, returned, status: whole, steps };
}

export const put = (resource: string, mark: string, version?: number, more: Partial<Step> = {}): Step => ({
  action: 'update',
  resource,
  mark,
  answer: version === undefined ? undefined : { status: version === 1 ? 201 : 200, resource, version },
  ...more,
});
export const read = (resource: string, version: number, ...marks: string[]): Step => ({
  action: 'read',
  resource,
  answer: { status: 200, resource, version, content: { marks } },
});
export const patch = (resource: string, mark: string, version: number): Step => ({
  ...put(resource, mark),
  action: 'patch',
  answer: { status: 200, resource, version },
});
export const remove = (resource: string, version?: number): Step => ({
  action: 'delete',
  resource,
  answer: { status: 204, resource, version },
});
/** A conditional create that made a resource, or found one. */
export const createIf = (
  condition: string,
  mark: string,
  status: 200 | 201,
  resource: string,
  version = 1,
): Step => ({
  action: 'create',
  condition,
  identifier: condition,
  mark,
  answer: { status, resource, version },
});

/** The contents of versions; undefined for deletions. */
export const versions = (...contents: (Content | string | undefined)[]): Version[] =>
  contents.map((content, i) => ({
    version: i + 1,
    content: typeof content === 'string' ? { marks: content.split('+') } : content,
    updated: 10 * i + 5,
  }));
