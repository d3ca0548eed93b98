/**
 * Resources as parameters: many go in one statement, and what belongs to them comes as parallel arrays, ragged ones
 * (keys, targets) as one flat array and, for each resource, where its slice ends.
 */
import {
  boolArray,
  float8Array,
  int2Array,
  int4Array,
  int8Array,
  keyArray,
  textArray,
  timestamptzArray,
  uuidArray,
  varbitArray,
} from '../arrays.ts';
import type { Catalog } from '../catalog.ts';
import { madeBy } from '../index/row.ts';
import { type Change, tablesOf, type Write } from './batch.ts';
import type { Parameters } from './statement.ts';

/**
 * The parameters of a statement that writes these resources, by their names in statement.ts. What a statement does
 * not ask for is not encoded.
 */
export function parametersOf(catalog: Catalog, writes: readonly (Write & Partial<Change>)[]): Parameters {
  const timeline: number[] = [];
  const patients: number[] = [];
  const patientsEnd: number[] = [];
  const keys: number[] = [];
  const keysEnd: number[] = [];
  const targets: number[] = [];
  const paths: number[] = [];
  const targetsEnd: number[] = [];
  const lines = {
    rid: [] as number[],
    key: [] as number[],
    patient: [] as number[],
    at: [] as (number | null)[],
    lead: [] as boolean[],
  };
  const numbers = {
    rid: [] as number[],
    key: [] as number[],
    unit: [] as number[],
    low: [] as number[],
    high: [] as number[],
    at: [] as number[],
  };
  const strings = {
    rid: [] as number[],
    key: [] as number[],
    value: [] as string[],
    whole: [] as (string | null)[],
  };
  const dates = { rid: [] as number[], key: [] as number[], low: [] as number[], high: [] as number[] };
  const owned = { binary: [] as number[], owner: [] as number[], n: [] as number[] };
  let n = 0;
  for (const { rid, row, owns } of writes) {
    n++;
    timeline.push(row?.timeline ?? 0);
    if (row) {
      append(patients, row.patients);
      append(keys, row.keys);
      append(targets, row.targets);
      append(paths, row.paths);
      const at = row.at ?? Number.NEGATIVE_INFINITY;
      const about = row.patients.length > 0 ? row.patients : NOBODY;
      for (let p = 0; p < about.length; p++)
        for (let k = 0; k < row.timeline; k++) {
          lines.rid.push(rid);
          lines.key.push(row.keys[2 * k] as number, row.keys[2 * k + 1] as number);
          lines.patient.push(about[p] as number);
          lines.at.push(at);
          lines.lead.push(p === 0);
        }
      for (let i = 0; i < row.numbers.low.length; i++) {
        numbers.rid.push(rid);
        numbers.at.push(at);
      }
      append(numbers.key, row.numbers.keys);
      append(numbers.unit, row.numbers.units);
      append(numbers.low, row.numbers.low);
      append(numbers.high, row.numbers.high);
      for (let i = 0; i < row.strings.values.length; i++) strings.rid.push(rid);
      append(strings.key, row.strings.keys);
      for (const value of row.strings.values) strings.value.push(value);
      for (const whole of row.strings.wholes) strings.whole.push(whole);
      for (let i = 0; i < row.dates.low.length; i++) dates.rid.push(rid);
      append(dates.key, row.dates.keys);
      append(dates.low, row.dates.low);
      append(dates.high, row.dates.high);
    }
    patientsEnd.push(patients.length);
    keysEnd.push(keys.length / 2);
    targetsEnd.push(targets.length);
    for (const { binary, owner } of owns) {
      owned.binary.push(binary);
      owned.owner.push(owner);
      owned.n.push(n);
    }
  }
  return {
    epoch: () => epochOf(writes),
    base: () => catalog.feedBase,
    extractor: () => madeBy(setOf(writes)),
    parameters: () => setOf(writes),
    expected: () => int4Array(writes.map(({ expected = null }) => expected)),
    labels: () => textArray(writes.map(({ labels = null }) => labels)),
    rid: () => int8Array(writes.map(({ rid }) => rid)),
    type: () => int2Array(writes.map(({ type }) => type)),
    id: () => textArray(writes.map(({ id }) => id)),
    content: () => textArray(writes.map(({ content }) => content)),
    security: () => textArray(writes.map(({ security }) => security)),
    blob: () => uuidArray(writes.map(({ blob }) => blob)),
    agent: () => int4Array(writes.map(({ agent }) => agent)),
    origin: () => textArray(writes.map(({ origin }) => origin)),
    patients: () => int8Array(patients),
    patients_end: () => int4Array(patientsEnd),
    at: () => timestamptzArray(writes.map(({ row }) => row?.at ?? null)),
    until: () => timestamptzArray(writes.map(({ row }) => row?.until ?? null)),
    timeline: () => int2Array(timeline),
    tables: () => int2Array(writes.map(({ row }) => (row ? tablesOf(row) : 0))),
    keys: () => keyArray(keys),
    keys_end: () => int4Array(keysEnd),
    targets: () => int8Array(targets),
    paths: () => int2Array(paths),
    present: () => varbitArray(writes.map(({ row }) => row?.present ?? NOTHING)),
    targets_end: () => int4Array(targetsEnd),
    line_rid: () => int8Array(lines.rid),
    line_key: () => keyArray(lines.key),
    line_patient: () => int8Array(lines.patient),
    line_at: () => timestamptzArray(lines.at),
    line_lead: () => boolArray(lines.lead),
    number_rid: () => int8Array(numbers.rid),
    number_key: () => keyArray(numbers.key),
    number_unit: () => keyArray(numbers.unit),
    number_low: () => float8Array(numbers.low),
    number_high: () => float8Array(numbers.high),
    number_at: () => timestamptzArray(numbers.at),
    string_rid: () => int8Array(strings.rid),
    string_key: () => keyArray(strings.key),
    string_value: () => textArray(strings.value),
    string_whole: () => textArray(strings.whole),
    date_rid: () => int8Array(dates.rid),
    date_key: () => keyArray(dates.key),
    date_low: () => timestamptzArray(dates.low),
    date_high: () => timestamptzArray(dates.high),
    owned_rid: () => int8Array(owned.binary),
    owned_owner: () => int8Array(owned.owner),
    owned_n: () => int8Array(owned.n),
    locks: () => int4Array(writes.flatMap(({ locks }) => locks)),
  };
}

/** A resource that is about no patient has its timeline rows under the number 0. */
const NOBODY: readonly number[] = [0];
/** A deletion has no values. */
const NOTHING = new Uint8Array();

/** Of one mind, or an epoch that never is: the lane then runs each alone, and each is judged by its own. */
function epochOf(writes: readonly Write[]): number {
  const { epoch } = writes[0] as Write;
  return writes.every((write) => write.epoch === epoch) ? epoch : -1;
}

/**
 * Which posted parameters all were indexed by: what changes these raises the epoch, so that where two of one epoch
 * differ, that epoch has passed, and nothing is written.
 */
function setOf(writes: readonly Write[]): number {
  for (const { row } of writes) if (row) return row.parameters;
  return 0;
}

/** `push(...many)` would put all on the stack. */
function append(to: number[], from: readonly number[]): void {
  for (let i = 0; i < from.length; i++) to.push(from[i] as number);
}
