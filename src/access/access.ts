/** Who may do what: the scopes of an access token (SMART App Launch 2.2, scopes-and-launch-context.html). */
import { refusal } from '../fhir/outcome.ts';

/** The letters of a SMART v2 scope: create, read, update, delete, search. */
export type Letter = 'c' | 'r' | 'u' | 'd' | 's';

export interface Access {
  /** Whether this interaction is allowed on resources of this type. */
  allows(type: string, letter: Letter): boolean;
  /** The scope text it was made from. */
  readonly scope: string;
}

/** Whether it is a system's own, and no person's: all of its scopes are (SMART backend services). */
export const isOfSystem = ({ scope }: Access): boolean =>
  scope.split(' ').every((one) => one.startsWith('system/'));

/**
 * Reads a scope text: `system/Type.letters` or `system/*.letters`, apart by spaces; letters in the order cruds.
 *
 * @throws Error saying what is wrong with it
 */
export function readScopes(scope: string, isResourceType: (type: string) => boolean): Access {
  const byType = new Map<string, Set<string>>();
  for (const one of scope.split(' ').filter(Boolean)) {
    const found = /^system\/(\*|[A-Z][A-Za-z]+)\.(c?r?u?d?s?)$/.exec(one);
    const [, type = '', letters = ''] = found ?? [];
    if (letters === '' || !(type === '*' || isResourceType(type)))
      throw new Error(
        `"${one}" is no scope: write system/Type.letters, as in system/*.cruds or system/Patient.rs`,
      );
    const known = byType.get(type) ?? new Set();
    for (const letter of letters) known.add(letter);
    byType.set(type, known);
  }
  if (byType.size === 0) throw new Error('a scope is needed, such as system/*.cruds');
  return {
    scope,
    allows: (type, letter) => !!byType.get('*')?.has(letter) || !!byType.get(type)?.has(letter),
  };
}

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
