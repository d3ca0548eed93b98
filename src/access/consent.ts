/**
 * What a patient's Consents (R4 consent.html) say of a request: filters for what they deny, and for what they permit. A
 * base policy has exceptions, and these have exceptions in turn: the innermost that fits decides, and of several that
 * fit beside each other deny does.
 */
import type { CodeableConcept, Coding, Consent, ConsentProvision } from 'fhir/r4.js';
import { clinicalDate } from '../fhir/clinical-date.ts';
import { rangeOf } from '../fhir/date.ts';
import type { SearchParameter } from '../fhir/definitions.ts';
import { parseReference } from '../fhir/reference.ts';
import type { Filter } from '../search/request.ts';
import { both, either, type Grammar, not, type Rule } from './rule.ts';
import type { Letter } from './scopes.ts';

/** Whose request a Consent is asked about. */
export interface Asker {
  /** `Type/id` of the person, and of the organizations that they work for */
  readonly names: ReadonlySet<string>;
  /** code of v3-PurposeOfUse, such as TREAT */
  readonly purpose: string;
}

/** Of a request a type and a letter; the resource itself is what the filters are for. */
export interface Wanted {
  readonly type: string;
  readonly letter: Letter;
}

type Verdict = 'permit' | 'deny';

/** A provision, or the base policy. `silent` says nothing where no exception fits. */
interface Node {
  readonly verdict: Verdict | 'silent';
  readonly provision?: ConsentProvision;
  readonly exceptions: readonly Node[];
}

const OPT_IN = 'OPTIN';
const OPT_OUT = 'OPTOUT';

/** Whether a Consent is about privacy, in force, and not yet over. */
export function isInForce({ status, scope, provision }: Consent, now: number): boolean {
  const privacy = scope.coding?.some(({ code }) => code === 'patient-privacy') ?? false;
  return status === 'active' && privacy && (!isOnlyPeriod(provision) || isDuring(provision?.period, now));
}

/** What is denied to who asks. */
export function denied(grammar: Grammar, consent: Consent, asker: Asker, wanted: Wanted): Rule {
  return says('deny', grammar, treeOf(consent), asker, wanted);
}

/**
 * What is permitted to who asks, by provisions that name them: that is how a patient shares with somebody. What permits
 * everybody shares with nobody in particular.
 */
export function permitted(grammar: Grammar, consent: Consent, asker: Asker, wanted: Wanted): Rule {
  const naming = (node: Node): Node => {
    const exceptions = node.exceptions.map(naming);
    const isNamed = node.verdict !== 'permit' || namesActor(node.provision, asker);
    return { ...node, verdict: isNamed ? node.verdict : 'silent', exceptions };
  };
  const base: Node = { verdict: 'silent', exceptions: treeOf(consent).exceptions.map(naming) };
  return both(says('permit', grammar, base, asker, wanted), not(denied(grammar, consent, asker, wanted)));
}

/** Whether a Consent permits somebody anything by naming them. */
export function shares(consent: Consent, asker: Asker): boolean {
  const permits = (node: Node): boolean =>
    (node.verdict === 'permit' && namesActor(node.provision, asker)) || node.exceptions.some(permits);
  return treeOf(consent).exceptions.some(permits);
}

/** Whether a Consent denies somebody anything, whatever it is, or may do so one day. */
export function deniesSome(consent: Consent, asker: Asker): boolean {
  const denies = ({ verdict, exceptions }: Node): boolean => {
    const ofAsker = exceptions.filter(({ provision = {} }) => concernsAsker(provision, asker));
    const isOutdone = ofAsker.some(({ provision = {} }) => saysOnlyWho(provision));
    return ofAsker.some(denies) || (verdict === 'deny' && !isOutdone);
  };
  return denies(treeOf(consent));
}

const concernsAsker = (provision: ConsentProvision, asker: Asker): boolean =>
  (!provision.actor || namesActor(provision, asker)) &&
  (!provision.purpose || provision.purpose.some(({ code }) => code === asker.purpose));

function saysOnlyWho({
  type: _type,
  actor: _actor,
  provision: _inner,
  id: _id,
  extension: _extension,
  ...more
}: ConsentProvision): boolean {
  return Object.keys(more).length === 0;
}

/** What of a type gets a verdict: that of the innermost exceptions that fit, or else the node's own. */
function says(verdict: Verdict, grammar: Grammar, node: Node, asker: Asker, wanted: Wanted): Rule {
  const covers = node.exceptions.map((one) => coverOf(grammar, one.provision ?? {}, asker, wanted));
  const inner = node.exceptions.map((one, i) =>
    both(covers[i] as Rule, says(verdict, grammar, one, asker, wanted)),
  );
  return either([...inner, ...(node.verdict === verdict ? [not(either(covers))] : [])]);
}

function treeOf({ policyRule, provision }: Consent): Node {
  const codes = new Set(policyRule?.coding?.map(({ code }) => code));
  const base = codes.has(OPT_OUT) ? 'deny' : codes.has(OPT_IN) ? 'permit' : 'silent';
  if (!provision) return { verdict: base, exceptions: [] };
  // A root without a type that says but when, holds its exceptions together; one that says more is an exception itself.
  if (isOnlyPeriod(provision)) return { verdict: base, exceptions: exceptionsOf(provision, base) };
  return { verdict: base, exceptions: [nodeOf(provision, base)] };
}

function nodeOf(provision: ConsentProvision, around: Node['verdict']): Node {
  const verdict = provision.type ?? (around === 'permit' ? 'deny' : 'permit');
  return { verdict, provision, exceptions: exceptionsOf(provision, verdict) };
}

const exceptionsOf = ({ provision = [] }: ConsentProvision, around: Node['verdict']): readonly Node[] =>
  provision.map((one) => nodeOf(one, around));

function isOnlyPeriod(provision: ConsentProvision | undefined): boolean {
  if (!provision || provision.type || provision.actor) return false;
  const { period: _period, ...more } = provision;
  return saysOnlyWho(more);
}

const namesActor = (provision: ConsentProvision | undefined, { names }: Asker): boolean =>
  provision?.actor?.some(({ reference }) => names.has(reference.reference ?? '')) ?? false;

/** Of a type what a provision is about. */
function coverOf(grammar: Grammar, provision: ConsentProvision, asker: Asker, wanted: Wanted): Rule {
  const { action, period } = provision;
  if (!concernsAsker(provision, asker)) return 'none';
  if (action && !action.some((one) => isAction(one, wanted.letter))) return 'none';
  if (!isDuring(period, Date.now())) return 'none';
  return [
    ofLabels(grammar, provision, wanted),
    ofClasses(grammar, provision, wanted),
    ofCodes(grammar, provision, wanted),
    ofDates(grammar, provision, wanted),
    ofData(grammar, provision, wanted),
  ].reduce(both);
}

/** http://terminology.hl7.org/CodeSystem/consentaction; disclosing and using is what reading is for. */
const ACTIONS: Readonly<Record<Letter, readonly string[]>> = {
  c: ['collect'],
  r: ['access', 'use', 'disclose'],
  u: ['correct', 'collect'],
  d: ['correct'],
  s: ['access', 'use', 'disclose'],
};

const isAction = ({ coding }: CodeableConcept, letter: Letter): boolean =>
  coding?.some(({ code }) => ACTIONS[letter].includes(code ?? '')) ?? false;

/** Whether a period includes an instant, as far as it says. */
export function isDuring(
  period: { readonly start?: string; readonly end?: string } | undefined,
  at: number,
): boolean {
  const { start, end } = period ?? {};
  return (start === undefined || rangeOf(start).low <= at) && (end === undefined || at < rangeOf(end).high);
}

function ofLabels(grammar: Grammar, { securityLabel }: ConsentProvision, { type }: Wanted): Rule {
  return securityLabel ? tokens(parameterOf(grammar, type, '_security'), securityLabel) : 'all';
}

/** A class is a type, or a type of documents. */
function ofClasses(grammar: Grammar, provision: ConsentProvision, { type }: Wanted): Rule {
  const { class: classes } = provision;
  if (!classes) return 'all';
  if (classes.some(({ system, code }) => system?.endsWith('/resource-types') && code === type)) return 'all';
  const others = classes.filter(({ system }) => !system?.endsWith('/resource-types'));
  const parameter = DOCUMENTS.has(type) ? parameterOf(grammar, type, 'type') : undefined;
  return tokens(parameter, others);
}

const DOCUMENTS = new Set(['Composition', 'DocumentReference', 'DocumentManifest']);

function ofCodes(grammar: Grammar, { code }: ConsentProvision, { type }: Wanted): Rule {
  if (!code) return 'all';
  const codings = code.flatMap(({ coding = [] }) => coding);
  return tokens(parameterOf(grammar, type, 'code'), codings);
}

function tokens(parameter: SearchParameter | undefined, codings: readonly Coding[]): Rule {
  if (!parameter || codings.length === 0) return 'none';
  const values = codings.flatMap(({ system, code }) => (code === undefined ? [] : [{ system, code }]));
  return { kind: 'token', parameter, values };
}

function ofDates({ definitions }: Grammar, { dataPeriod }: ConsentProvision, { type }: Wanted): Rule {
  if (!dataPeriod) return 'all';
  const parameter = clinicalDate(definitions, type);
  if (!parameter) return 'none';
  const { start, end } = dataPeriod;
  const bounds: Filter[] = [];
  if (start) bounds.push({ kind: 'date', parameter, values: [{ prefix: 'ge', range: rangeOf(start) }] });
  if (end) bounds.push({ kind: 'date', parameter, values: [{ prefix: 'le', range: rangeOf(end) }] });
  return { kind: 'all', filters: bounds };
}

/** Resources themselves, what refers to them, and what somebody wrote. */
function ofData(grammar: Grammar, { data }: ConsentProvision, { type }: Wanted): Rule {
  if (!data) return 'all';
  const { definitions, baseUrl } = grammar;
  return either(
    data.map(({ meaning, reference }): Rule => {
      const parsed = parseReference(reference.reference ?? '', baseUrl, definitions.isResourceType);
      if (parsed.kind !== 'local') return 'none';
      const itself: Rule = parsed.type === type ? { kind: 'id', ids: [parsed.id] } : 'none';
      if (meaning === 'instance') return itself;
      const referring = definitions
        .searchParameters(type)
        .filter((one) => one.type === 'reference' && one.posted === undefined && leadsTo(one, parsed.type))
        .map(
          (parameter): Filter => ({
            kind: 'reference',
            parameter,
            values: [{ kind: 'local', type: parsed.type, id: parsed.id }],
          }),
        );
      return either(meaning === 'authoredby' ? referring : [itself, ...referring]);
    }),
  );
}

const leadsTo = ({ target = [] }: SearchParameter, type: string): boolean =>
  target.length === 0 || target.includes(type);

const parameterOf = ({ definitions }: Grammar, type: string, code: string): SearchParameter | undefined =>
  definitions
    .searchParameters(type)
    .find((one) => one.code === code && one.posted === undefined && one.type === 'token');
