/** Who may do what: the scopes of an access token (SMART App Launch 2.2, scopes-and-launch-context.html). */
import { refusal } from '../fhir/outcome.ts';
import type { Filter } from '../search/request.ts';
import { opens, type Whose } from './person.ts';
import { either, type Grammar, type Rule } from './rule.ts';
import { concerning, gives, ruleOf } from './rules.ts';
import { type Letter, readScope, type Scope } from './scopes.ts';

export type { Letter } from './scopes.ts';

export interface Access {
  /** Whether this interaction is allowed on some resources of this type. */
  allows(type: string, letter: Letter): boolean;
  /** What a resource has to pass so that it is allowed on it; nothing where it is on all of the type. */
  within(type: string, letter: Letter): readonly Filter[];
  /** Whether it leaves some resources of a type out. */
  readonly limited: boolean;
  /** Whether a patient may be named in what is shown; undefined: whoever. */
  readonly isShown?: ((patient: string) => boolean) | undefined;
  /** What has to pass that is written about this patient; undefined: about whomever. */
  readonly concerning?: ((patient: string, type: string, letter: Letter) => readonly Filter[]) | undefined;
  /** Whether it may open a patient's records to somebody (`Type/id`); undefined: to whomever. */
  readonly gives?: ((patient: string, to: string) => boolean) | undefined;
  /** What whoever it was given to could see with any scopes. */
  readonly reach: Access;
  /** the patient whom alone it is for, where all of its scopes say so */
  readonly patient?: string;
  /** code of v3-PurposeOfUse, where somebody has broken the glass */
  readonly purpose?: string;
  /** The scope text it was made from. */
  readonly scope: string;
}

/** Of whoever runs the server: to register people and apps. It opens no records, and only the command line gives it. */
export const ADMIN = 'consilium/admin';

/**
 * Reads the scopes that the command line gives: `system/Type.letters` or `system/*.letters`, apart by spaces; letters in
 * the order cruds; or ADMIN.
 *
 * @throws Error saying what is wrong with it
 */
export function readScopes(scope: string, isResourceType: (type: string) => boolean): void {
  const texts = scope.split(' ').filter(Boolean);
  for (const text of texts) {
    const one = readScope(text, isResourceType);
    if (text !== ADMIN && !(one && isWhole(one)))
      throw new Error(
        `"${text}" is no scope: write system/Type.letters, as in system/*.cruds or system/Patient.rs`,
      );
  }
  if (texts.length === 0) throw new Error('a scope is needed, such as system/*.cruds');
}

/**
 * What an access token may do, by its scopes; they were checked when it was made.
 *
 * @param whose for whom it was given; of a system for nobody, or for the organizations that it is limited to
 */
export function accessOf(scope: string, grammar: Grammar, whose: Whose = {}): Access {
  const { isResourceType } = grammar.definitions;
  const scopes = scope.split(' ').flatMap((text) => readScope(text, isResourceType) ?? []);
  const rules = new Map<string, Rule>();
  const ruleFor = (type: string, letter: Letter): Rule => {
    const name = `${type}.${letter}`;
    let rule = rules.get(name);
    if (rule === undefined) {
      const given = scopes.filter(
        (one) => one.letters.has(letter) && (one.type === '*' || one.type === type),
      );
      rule = either(given.map((one) => ruleOf(grammar, whose, one, type, letter)));
      rules.set(name, rule);
    }
    return rule;
  };
  const seesAll = whose.person === undefined && scopes.every(({ level }) => level === 'system');
  return {
    scope,
    allows: (type, letter) => ruleFor(type, letter) !== 'none',
    within: (type, letter) => filtersOf(ruleFor(type, letter)),
    limited: whose.person !== undefined || !scopes.every(isWhole),
    ...(whose.person && whose.person.emergency.size > 0 ? { purpose: 'BTG' } : {}),
    isShown: seesAll ? undefined : shownTo(whose),
    concerning: seesAll ? undefined : concerns(grammar, scopes, whose),
    gives: seesAll ? undefined : givesOn(whose),
    get reach() {
      const levels = [...new Set(scopes.map(({ level }) => level))];
      return accessOf(levels.map((level) => `${level}/*.rs`).join(' '), grammar, whose);
    },
    ...(whose.patient !== undefined && scopes.every(({ level }) => level === 'patient')
      ? { patient: whose.patient }
      : {}),
  };
}

const concerns =
  (grammar: Grammar, scopes: readonly Scope[], { patient, person }: Whose): Access['concerning'] =>
  (id, type, letter) =>
    filtersOf(
      either(
        scopes.map(({ level }): Rule => {
          if (level === 'patient' && patient !== id) return 'none';
          if (person) return concerning(grammar, person, id, { type, letter });
          return level === 'patient' ? 'all' : 'none';
        }),
      ),
    );

/** Those whose records are theirs to see, in part at least. */
const shownTo =
  ({ patient, person }: Whose) =>
  (id: string): boolean =>
    id === patient || (person !== undefined && opens(person, id));

const givesOn =
  ({ patient, person }: Whose) =>
  (id: string, to: string): boolean =>
    person ? gives(person, id, to) : id === patient;

const filtersOf = (rule: Rule): readonly Filter[] =>
  rule === 'all' ? ALL : [rule === 'none' ? NOTHING : rule];

const ALL: readonly Filter[] = [];
const NOTHING: Filter = { kind: 'any', filters: [] };

/** Whether it is a system's own, and no person's: all of its scopes are (SMART backend services). */
export const isOfSystem = ({ scope }: Access): boolean =>
  scope.split(' ').every((one) => one.startsWith('system/'));

/** Whether a scope allows all or nothing of a type. */
const isWhole = ({ level, query }: Scope): boolean => level === 'system' && query === undefined;

/**
 * Whether what he writes of SearchParameters may act, and he may have everything indexed anew. That changes what
 * everybody finds and what each write costs, so that no leave of a person or an app is enough: it takes the scope
 * `system/SearchParameter.c` or `.u`, whole and not granular, of a system that is limited to no organizations.
 */
export function mayDefine({ scope, isShown }: Access): boolean {
  return (
    isShown === undefined && /(?:^| )system\/(?:\*|SearchParameter)\.(?:c|r?u)[cruds]*(?: |$)/.test(scope)
  );
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

/**
 * Lets through what is allowed of all resources of a type: for what may be anybody's.
 *
 * @throws Refusal 403
 */
export function demandWhole(access: Access, type: string, letter: Letter): void {
  demand(access, type, letter);
  if (access.within(type, letter).length > 0)
    throw refusal(
      403,
      'forbidden',
      `This access token does not allow to ${WORDS[letter]} every ${type}: it needs the scope system/${type}.${letter}`,
    );
}
