/** What is found out before a search: the stretch of the timeline that holds all matches, and what is left to be judged. */
import type { Definitions } from '../../fhir/definitions.ts';
import { conjuncts } from '../../search/inner.ts';
import type { Filter, PatientSet } from '../../search/request.ts';
import type { Catalog } from '../catalog.ts';
import { codeKey, compartmentKey, isWalked, type Keys, keyText, systemKey, tokenKey } from '../index/keys.ts';
import type { WordIndex } from '../index/words.ts';
import type { Numbers } from '../numbers.ts';
import { type Executor, type Row, run } from '../pool.ts';
import { condition } from './conditions.ts';
import { boundsOf } from './dates.ts';
import { withUnits } from './numbers.ts';
import { makePatientSets } from './patient-sets.ts';
import { type Judged, makeSettings, type Setting } from './setting.ts';
import { sql } from './sql.ts';
import { isAllOf, stretchesOfRows } from './value-rows.ts';
import { withoutLabels } from './without-labels.ts';
import { fromWords } from './words.ts';

export interface Walk {
  /** numbers of the patients that were asked for */
  patients: readonly number[] | undefined;
  /** the set that they are, where they are one */
  among?: PatientSet;
  /** they as a parameter, where that has been made */
  parameter?: unknown;
  /** timeline keys that were asked for */
  keys: string[] | undefined;
  /** bounds on the clinical date, in milliseconds */
  from: number;
  to: number;
  /** what the stretch itself does not say */
  readonly rest: readonly Judged[];
  /** whether a filter is one that few resources pass */
  selective: boolean;
  /** the references that make it so, where nothing else does: some refer to one that very many refer to */
  referring: readonly Judged[];
  /** whether a code's stretch may be long, and what is looked for in it far between */
  sparse: boolean;
  /** among `rest`, what can be found from its values */
  valued: Filter | undefined;
  /** whether chains are left that lead to many: to be judged row by row */
  open: boolean;
}

export interface Plans {
  settingOf(type: string, row?: string): Setting;
  /** @param open leaves chains as they are that often lead to many: a page may be full before these are counted */
  walkOf(
    request: { readonly type: string; readonly filters: readonly Filter[] },
    open?: boolean,
  ): Promise<Walk>;
  isReferredByMany(request: { readonly type: string }, walk: Walk): Promise<boolean>;
}

/** Patients and codes may be many, and a system has thousands of codes: so many stretches are walked side by side. */
export const MOST_STRETCHES = 20;

/** A join is begun at its other end where no more than so many are there; where there are more, each row is judged. */
const FEW = 1000;
/** By the numbers of those at the other end, as long as there are not more. */
const MANY = 10_000;
/** And the numbers found from values where no more than so many are there. */
const FEW_VALUES = 3000;

const KEYS_OF_CODE = {
  name: 'keys_of_code',
  text: 'select key::text from code_key where code = any ($1::bigint[])',
};

type Of<Kind extends Filter['kind']> = Extract<Filter, { readonly kind: Kind }>;

export function makePlans(
  executor: Executor,
  definitions: Definitions,
  catalog: Catalog,
  keys: Keys,
  numbers: Pick<Numbers, 'find'>,
  words: Pick<WordIndex, 'pending'> | undefined,
): Plans {
  const patientSets = makePatientSets();
  const settingOf = makeSettings(definitions, catalog, keys, patientSets);

  /** What is merged of filters that stay the same from request to request, as those of an access token do. */
  const merging = new WeakMap<Filter, Filter>();

  async function walkOf(
    { type, filters }: { readonly type: string; readonly filters: readonly Filter[] },
    open = false,
  ): Promise<Walk> {
    const setting = settingOf(type);
    const rest: Judged[] = [];
    const walk: Walk = {
      patients: undefined,
      keys: undefined,
      from: Number.NEGATIVE_INFINITY,
      to: Number.POSITIVE_INFINITY,
      rest,
      selective: false,
      referring: [],
      sparse: false,
      valued: undefined,
      open: false,
    };
    const inUnits = await withUnits(executor, keys.units, filters);
    const asked = await withoutLabels(inUnits, (label) => hasAny(label, setting), merging);
    for (const given of asked.flatMap(conjuncts)) {
      const isLeft = open && leadsToMany(given);
      const filter = isLeft ? given : await withTargets(given, setting, open ? FEW : MANY);
      if (filter.kind === 'chain') {
        walk.open = true;
        rest.push(filter);
        continue;
      }
      if (filter.kind === 'has') {
        const judged = await fromSources(filter, type);
        if (judged[0]?.kind === 'rids') walk.selective = true;
        rest.push(...judged);
        continue;
      }
      if (filter.kind === 'words') {
        const found = await fromWords(executor, words, filter, FEW_VALUES);
        if (found.kind === 'rids') walk.selective = true;
        rest.push(found);
        continue;
      }
      if (filter.kind === 'reference' && !walk.patients && saysPatient(filter, setting)) {
        const ids = filter.values.map((value) => (value.kind === 'local' ? value.id : ''));
        const found = await numbers.find(ids.map((id) => ({ type: 'Patient', id })));
        walk.patients = [...new Set(found.filter((rid) => rid !== undefined))];
        continue;
      }
      if (filter.kind === 'compartment' && walk.patients?.length === 1) {
        const [patient] = await numbers.find([{ type: 'Patient', id: filter.id }]);
        if (patient === walk.patients[0]) continue;
      }
      if (filter.kind === 'compartment' && !walk.patients) {
        const patients = await aboutAlone(filter, type);
        if (patients) {
          walk.patients = patients;
          continue;
        }
      }
      // Of thousands of patients nothing is walked that something else finds sooner.
      if (filter.kind === 'patients' && !walk.patients && !(walk.selective && filter.patients.size > FEW)) {
        const { numbers: theirs, parameter } = patientSets.numbersOf(filter.patients);
        Object.assign(walk, { patients: theirs, among: filter.patients, parameter });
        continue;
      }
      if (filter.kind === 'patients' && isSaid(filter, walk)) continue;
      if (filter.kind === 'token' && isWalked(filter.parameter)) {
        const found = await walkedKeys(filter, type);
        if (!walk.keys && found.length <= MOST_STRETCHES) walk.keys = found;
        else rest.push({ kind: 'keys', keys: found });
        continue;
      }
      if (filter.kind === 'date' && filter.parameter.code === setting.clinical) {
        const { from, to } = boundsOf(filter.values);
        walk.from = Math.max(walk.from, from);
        walk.to = Math.min(walk.to, to);
      }
      if (isSelective(filter)) walk.selective = true;
      rest.push(filter);
    }
    const selective = rest.filter((filter) => filter.kind === 'rids' || isSelective(filter));
    if (walk.selective && selective.every(isReferring)) walk.referring = selective;
    // One patient's stretch is short; of all the others it is better known beforehand whether few pass.
    if (!walk.patients && !walk.selective) {
      const { few, asked } = await fewOf(rest, setting);
      // What is found from all of a filter's values passes it.
      if (few?.kind === 'valued' && isAllOf(few.filter)) rest.splice(rest.indexOf(few.filter), 1, few);
      else if (few) rest.push(few);
      walk.selective = few !== undefined;
      walk.sparse = asked !== undefined;
      walk.valued = few?.kind === 'valued' ? few.filter : asked;
    }
    return walk;
  }

  /** Whether the stretches of some patients, or another condition, say already that what is in them is about some. */
  function isSaid({ patients }: Of<'patients'>, walk: Walk): boolean {
    const isBeside = walk.rest.some(
      (one) => one.kind === 'patients' && patientSets.areWithin(one.patients, patients),
    );
    if (isBeside || !walk.patients) return isBeside;
    if (walk.among) return patientSets.areWithin(walk.among, patients);
    const all = new Set(patients.values());
    return walk.patients.every((patient) => all.has(patient));
  }

  /** What passes one of the filters, where that is few, found from its values; and the first that could be asked so. */
  async function fewOf(
    filters: readonly Judged[],
    setting: Setting,
  ): Promise<{ readonly few?: Judged; readonly asked?: Filter | undefined }> {
    let asked: Filter | undefined;
    for (const filter of filters) {
      const s = sql();
      const stretches = stretchesOfRows(s, filter as Filter, setting);
      if (!stretches) continue;
      asked ??= filter as Filter;
      if (stretches.length === 0) return { few: NONE, asked };
      // Counted there: thousands of numbers would take longer to come here than to be found once more.
      const text = `select count(*) from (select from (${stretches.join(' union all ')}) v limit ${FEW_VALUES + 1}) w`;
      const { rows } = await executor.query({ text, values: s.values, rowMode: 'array' });
      const found = rows[0]?.[0] as number;
      if (found === 0) return { few: NONE, asked };
      if (found <= FEW_VALUES) return { few: { kind: 'valued', filter: filter as Filter }, asked };
    }
    return { asked };
  }

  /** Of a patient's compartment the patient, where nothing of the type refers to him but what is about him. */
  async function aboutAlone({ id }: Of<'compartment'>, type: string): Promise<number[] | undefined> {
    const [patient] = await numbers.find([{ type: 'Patient', id }]);
    if (patient === undefined) return [];
    const s = sql();
    const key = s.bind(keyText(compartmentKey(keys.type(type), id)));
    // With a limit of one PostgreSQL would look through the table, hoping for one soon.
    const text = `select count(*) from (
      select from resource_index i where i.keys @> array[${key}::bigint] limit ${FEW}) w`;
    const { rows } = await executor.query({ text, values: s.values, rowMode: 'array' });
    return rows[0]?.[0] === 0 ? [patient] : undefined;
  }

  /** Whether anything at all passes a filter that is on keys. */
  async function hasAny(filter: Filter, { type }: Setting): Promise<boolean> {
    const s = sql();
    // With a limit of one PostgreSQL would look through the table, hoping for one soon.
    const text = `select count(*) from (
      select from resource_index i where ${condition(s, filter, settingOf(type))} limit ${FEW}) w`;
    return (await executor.query({ text, values: s.values, rowMode: 'array' })).rows[0]?.[0] !== 0;
  }

  /** Whether so many refer to what a search asks for that it is sooner found walking. */
  async function isReferredByMany(
    { type }: { readonly type: string },
    { referring, patients }: Walk,
  ): Promise<boolean> {
    if (referring.length === 0 || patients) return false;
    const s = sql();
    const conditions = referring.map((filter) => condition(s, filter, settingOf(type))).join(' and ');
    const text = `select count(*) from (select from resource_index i
      where i.type = ${s.bind(catalog.typeNumber(type))} and ${conditions} limit ${FEW_VALUES + 1}) w`;
    const { rows } = await executor.query({ text, values: s.values, rowMode: 'array' });
    return (rows[0]?.[0] as number) > FEW_VALUES;
  }

  /** The timeline keys of a code's or category's values. */
  async function walkedKeys({ parameter, values }: Of<'token'>, type: string): Promise<string[]> {
    const own = keys.parameter(type, parameter);
    const full: string[] = [];
    const halves: string[] = [];
    for (const { system, code } of values) {
      if (system !== undefined && code !== undefined) full.push(keyText(tokenKey(own, system, code)));
      else halves.push(keyText(code === undefined ? systemKey(own, system ?? '') : codeKey(own, code)));
    }
    if (halves.length > 0)
      for (const [key] of await run(executor, KEYS_OF_CODE, [halves])) full.push(key as string);
    return [...new Set(full)];
  }

  /** Chains by what they lead to, also where they are one of several conditions. */
  async function withTargets(filter: Filter, own: Setting, most: number): Promise<Judged> {
    if (filter.kind === 'chain') return fromTargets(filter, own, most);
    if (filter.kind !== 'any' || !filter.filters.some(({ kind }) => kind === 'chain')) return filter;
    const filters: Judged[] = [];
    for (const one of filter.filters) filters.push(await withTargets(one, own, most));
    return { kind: 'any', filters: filters as Filter[] };
  }

  /** A chain as a search for those it leads to, where these are few, or by their numbers, where they are many. */
  async function fromTargets(chain: Of<'chain'>, own: Setting, most: number): Promise<Judged> {
    const { parameter, targets } = chain;
    const few: { readonly kind: 'local'; readonly type: string; readonly id: string }[] = [];
    for (const { type, filter } of targets)
      for (const [id] of await targetsOf(type, filter, 'id', FEW + 1 - few.length))
        few.push({ kind: 'local', type, id: id as string });
    if (few.length <= FEW) return { kind: 'reference', parameter, values: few };
    // Columns of patients have no others.
    const mixed = own.patient.has(parameter.code) && targets.some(({ type }) => type !== 'Patient');
    if (most <= FEW || mixed) return chain;
    const many: number[] = [];
    for (const { type, filter } of targets)
      for (const [rid] of await targetsOf(type, filter, 'rid', most + 1 - many.length))
        many.push(rid as number);
    return many.length > most ? chain : { kind: 'refers', parameter, rids: many };
  }

  async function targetsOf(
    type: string,
    filter: Filter,
    column: 'id' | 'rid',
    limit: number,
  ): Promise<Row[]> {
    if (limit <= 0) return [];
    const s = sql();
    const text = `select r.${column} from resource_index t join resource r on r.rid = t.rid
      where t.type = ${s.bind(catalog.typeNumber(type))} and ${condition(s, filter, settingOf(type, 't'))}
      limit ${limit}`;
    return (await executor.query({ text, values: s.values, rowMode: 'array' })).rows;
  }

  /** `_has` as those it finds, where those that refer to them are few. */
  async function fromSources(has: Of<'has'>, type: string): Promise<readonly Judged[]> {
    const source = settingOf(has.type, 's');
    const { filter } = has;
    const s = sql();
    const patients = type === 'Patient' && source.patient.has(has.parameter.code);
    const walked = patients && filter.kind === 'token' && isWalked(filter.parameter);
    const found = walked ? await walkedKeys(filter, has.type) : [];
    const rows = walked
      ? `select t.patient as target from timeline t where t.key = any (${s.bind(found)}::bigint[]) and t.lead
         union all
         select t.patient from timeline t where t.key = any (${s.bind(found)}::bigint[]) and not t.lead`
      : `select ${patients ? 'unnest(s.patients)' : 'unnest(s.targets)'} as target from resource_index s
         where s.type = ${s.bind(catalog.typeNumber(has.type))} and ${condition(s, filter, source)}`;
    const text = `select case when count(*) <= ${FEW} then coalesce(array_agg(target), '{}')::text[] end
      from (select target from (${rows}) found limit ${FEW + 1}) few`;
    const { rows: one } = await executor.query({ text, values: s.values, rowMode: 'array' });
    const targets = one[0]?.[0] as string[] | null;
    if (!targets) return [walked ? { kind: 'has-keys', keys: found } : has];
    const few: Judged = { kind: 'rids', rids: [...new Set(targets)].map(Number) };
    // Of other references than patients these are candidates: the condition tells by which they are referred to.
    return patients ? [few] : [few, has];
  }

  return { settingOf, walkOf, isReferredByMany };
}

const NONE: Judged = { kind: 'rids', rids: [] };

/** Whether a chain goes on by a reference, as to all patients of a practitioner. */
const leadsToMany = (filter: Filter): boolean =>
  filter.kind === 'chain' && filter.targets.every(({ filter: one }) => one.kind === 'reference');

/** Whether it is by what it refers to that something passes: found by keys, unless it is patients alone. */
const isReferring = (filter: Judged): boolean =>
  filter.kind === 'reference' || (filter.kind === 'any' && filter.filters.every(isReferring));

/** Whether few resources pass a filter, as a rule. */
function isSelective(filter: Judged): boolean {
  switch (filter.kind) {
    case 'id':
    case 'string':
    case 'reference':
    case 'reference-identifier':
    case 'uri':
    case 'of-type':
    case 'list':
    case 'contains':
    case 'compartment':
    case 'near':
      return true;
    case 'token':
      return filter.parameter.code === 'identifier';
    case 'any':
      return filter.filters.every(isSelective);
    default:
      return false;
  }
}

/** Whether a filter names patients of the parameters that timelines are kept by. */
function saysPatient({ parameter, values }: Of<'reference'>, { patient }: Setting): boolean {
  if (!patient.has(parameter.code)) return false;
  return values.every(
    (value) =>
      value.kind === 'local' &&
      value.version === undefined &&
      (value.type === 'Patient' || (value.type === undefined && parameter.code === 'patient')),
  );
}
