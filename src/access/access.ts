/** Who may do what: the scopes of an access token (SMART App Launch 2.2, scopes-and-launch-context.html). */
import { refusal } from '../fhir/outcome.ts';
import { type Letter, readScope, type Scope } from './scopes.ts';

export type { Letter } from './scopes.ts';

export interface Access {
  /** Whether this interaction is allowed on resources of this type. */
  allows(type: string, letter: Letter): boolean;
  /** The scope text it was made from. */
  readonly scope: string;
  /** a scope that cannot be applied yet, of an access token that has no other for resources: it gives nothing */
  readonly unenforced?: string;
}

/** Of whoever runs the server: to register people and apps. It opens no records, and only the command line gives it. */
export const ADMIN = 'consilium/admin';

/**
 * Reads the scopes that the command line gives: `system/Type.letters` or `system/*.letters`, apart by spaces; letters in
 * the order cruds; or ADMIN.
 *
 * @throws Error saying what is wrong with it
 */
export function readScopes(scope: string, isResourceType: (type: string) => boolean): Access {
  const texts = scope.split(' ').filter(Boolean);
  for (const text of texts) {
    const one = readScope(text, isResourceType);
    if (text !== ADMIN && !(one && isEnforced(one)))
      throw new Error(
        `"${text}" is no scope: write system/Type.letters, as in system/*.cruds or system/Patient.rs`,
      );
  }
  if (texts.length === 0) throw new Error('a scope is needed, such as system/*.cruds');
  return accessOf(scope, isResourceType);
}

/**
 * What an access token may do, by its scopes; they were checked when it was made. Those for the records of one patient
 * or person, and those with a query, give nothing: what they leave out is not kept back yet.
 */
export function accessOf(scope: string, isResourceType: (type: string) => boolean): Access {
  const byType = new Map<string, Set<string>>();
  const others: Scope[] = [];
  for (const text of scope.split(' ')) {
    const one = readScope(text, isResourceType);
    if (!one) continue;
    if (!isEnforced(one)) {
      others.push(one);
      continue;
    }
    const known = byType.get(one.type) ?? new Set();
    for (const letter of one.letters) known.add(letter);
    byType.set(one.type, known);
  }
  return {
    scope,
    allows: (type, letter) => !!byType.get('*')?.has(letter) || !!byType.get(type)?.has(letter),
    ...(byType.size === 0 && others[0] ? { unenforced: others[0].text } : {}),
  };
}

/** Whether it is a system's own, and no person's: all of its scopes are (SMART backend services). */
export const isOfSystem = ({ scope }: Access): boolean =>
  scope.split(' ').every((one) => one.startsWith('system/'));

/** Whether a scope allows all or nothing of a type. */
const isEnforced = ({ level, query }: Scope): boolean => level === 'system' && query === undefined;

/**
 * Whether what he writes of SearchParameters may act, and he may have everything indexed anew. That changes what
 * everybody finds and what each write costs, so that no leave of a person or an app is enough: it takes the scope
 * `system/SearchParameter.c` or `.u`, whole and not granular.
 */
export function mayDefine({ scope }: Access): boolean {
  return /(?:^| )system\/(?:\*|SearchParameter)\.(?:c|r?u)[cruds]*(?: |$)/.test(scope);
}

/** @throws Refusal 403 where he may not */
export function demandDefining(access: Access): void {
  if (!mayDefine(access))
    throw refusal(
      403,
      'forbidden',
      'This access token does not allow to change what resources are indexed by: it needs the scope system/SearchParameter.c or system/SearchParameter.u. A SearchParameter as a draft is only kept',
    );
}

const WORDS: Readonly<Record<Letter, string>> = {
  c: 'create',
  r: 'read',
  u: 'update',
  d: 'delete',
  s: 'search',
};

/**
 * Lets through what is allowed.
 *
 * @throws Refusal 403 naming the scope that is missing
 */
export function demand(access: Access, type: string, letter: Letter): void {
  if (!access.allows(type, letter))
    throw refusal(
      403,
      'forbidden',
      `This access token does not allow to ${WORDS[letter]} ${type}: it needs the scope system/${type}.${letter}`,
    );
}
