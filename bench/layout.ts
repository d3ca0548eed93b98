/**
 * What the tables and indexes can do, by hand-written SQL: also for searches that have no route yet. Each has the
 * plans that come into question; which is right depends on how many match, so both are shown. `npm run bench:layout`.
 */
import { parseArgs } from 'node:util';
import pg from 'pg';
import { loadDefinitions } from '../src/fhir/definitions.ts';
import { openCatalog } from '../src/store/catalog.ts';
import { keyText, makeKeys, tokenKey } from '../src/store/index/keys.ts';
import { openDatabase } from './database.ts';
import { counted, familyOf, patientId } from './dataset.ts';
import { quantile } from './statistics.ts';

const { values: options } = parseArgs({
  options: {
    observations: { type: 'string', default: '1000000' },
    patients: { type: 'string', default: '20000' },
    others: { type: 'string', default: '0' },
    times: { type: 'string', default: '25' },
  },
});
const size = {
  observations: Number(options.observations),
  patients: Number(options.patients),
  others: Number(options.others),
};
const definitions = await loadDefinitions();
const database = await openDatabase(size, (line) => console.error(line));
const client = new pg.Client({ connectionString: database.url, options: '-c jit=off' });
await client.connect();
const catalog = await openCatalog(client as never, definitions);
const keys = makeKeys(catalog.secret);
const parameterOf = (type: string, code: string) => {
  const found = definitions.searchParameters(type).find((parameter) => parameter.code === code)!;
  return keys.parameter(type, found);
};
const code = parameterOf('Observation', 'code');
const codes = counted.map((kind) => keyText(tokenKey(code, 'http://loinc.org', kind.code)));
const all = keyText(keys.type('Observation'));
const value = keyText(parameterOf('Observation', 'value-quantity'));
const name = keyText(parameterOf('Patient', 'family'));
const patients = keyText(keys.type('Patient'));
const one = async (text: string): Promise<string> =>
  String(Object.values((await client.query(text)).rows[0])[0]);
const heavy = await one(
  `select rid from resource where type = ${catalog.typeNumber('Patient')} and id = '${patientId(0)}'`,
);
const usual = await one(
  `select patient from timeline where key = ${codes[0]} and patient <> ${heavy} offset 5000 limit 1`,
);
const limits = (
  await one(
    `select percentile_disc(array[0.9, 0.999]) within group (order by low)::text from value_number where key = ${value}`,
  )
).match(/[\d.]+/g) as string[];

const page = (found: string, count = 50) =>
  `select r.content from (${found} limit ${count}) p join resource r on r.rid = p.rid order by p.at desc, p.rid desc`;
const newest = 'order by t.at desc, t.rid desc';
const range = (from: string) => `key = ${value} and low >= ${from}`;
const family = (prefix: string) =>
  `select s.rid from value_string s where s.key = ${name} and s.value >= '${prefix}' and s.value < '${prefix}{'`;

const searches: Record<string, string> = {
  'patient and code, newest 20': page(
    `select at, rid from timeline t where patient = ${usual} and key = ${codes[0]} ${newest}`,
    20,
  ),
  'heavy patient, code he has never': page(
    `select at, rid from timeline t where patient = ${heavy} and key = ${codes[3]} ${newest}`,
    20,
  ),
  ...Object.fromEntries(
    ['50 %', '2.5 %', '1.25 %', '0.46 %'].map((share, i) => [
      `code of ${share}, newest 50`,
      page(`select at, rid from timeline t where key = ${codes[i]} and lead ${newest}`),
    ]),
  ),
  'count of 2.5 %': `select count(*) from timeline where key = ${codes[1]} and lead`,
  'count of 50 %': `select count(*) from timeline where key = ${codes[0]} and lead`,
  'count of all': `select count(*) from timeline where key = ${all} and lead`,
  'chain to a name of few, from the name': page(
    `select t.at, t.rid from (${family(familyOf(3).toLowerCase().slice(0, 6))}) p cross join lateral (
       select at, rid from timeline t where patient = p.rid and key = ${all} ${newest} limit 50) t ${newest}`,
  ),
  'chain to a name of many, from the name': page(
    `select t.at, t.rid from (${family('')}) p cross join lateral (
       select at, rid from timeline t where patient = p.rid and key = ${all} ${newest} limit 50) t ${newest}`,
  ),
  'chain to a name of many, walking': page(
    `select t.at, t.rid from timeline t where key = ${all} and lead and exists (
       select from value_string s where s.rid = t.patient and s.key = ${name} and s.value >= '') ${newest}`,
  ),
  ...Object.fromEntries(
    ['50 %', '2.5 %', '0.46 %'].flatMap((share, i) => {
      const key = codes[[0, 1, 3][i]!];
      return [
        [
          `_has of a code of ${share}, from the code`,
          `select rid from (select distinct patient as rid from timeline where key = ${key} and lead) p order by rid desc limit 20`,
        ],
        [
          `_has of a code of ${share}, walking patients`,
          `select t.rid from timeline t where t.key = ${patients} and t.lead and exists (
             select from timeline o where o.patient = t.rid and o.key = ${key}) ${newest} limit 20`,
        ],
      ];
    }),
  ),
  ...Object.fromEntries(
    ['10 %', '0.1 %', 'none'].flatMap((share, i) => {
      const from = limits[i] ?? '1e9';
      return [
        [
          `value over ${share}, from the value`,
          page(
            `select i.at, i.rid from value_number v join resource_index i on i.rid = v.rid where v.${range(from).replace('low', 'v.low')} order by i.at desc, i.rid desc`,
          ),
        ],
        [
          `value over ${share}, walking`,
          page(`select t.at, t.rid from timeline t where key = ${all} and lead and exists (
             select from value_number v where v.rid = t.rid and v.${range(from).replace('low', 'v.low')}) ${newest}`),
        ],
      ];
    }),
  ),
  'code of 2.5 % and value over 10 %, walking the code': page(
    `select t.at, t.rid from timeline t where key = ${codes[1]} and lead and exists (
       select from value_number v where v.rid = t.rid and v.${range(limits[0]!).replace('low', 'v.low')}) ${newest}`,
  ),
  'newest 50 by lastUpdated': `select content from resource where type = ${catalog.typeNumber('Observation')} and version > 0 and not deleted order by updated desc, rid desc limit 50`,
};

console.log(`${size.observations} Observations, ${size.patients} patients\n`);
console.log(`${'search'.padEnd(54)} p50 ms  p95 ms`);
for (const [what, text] of Object.entries(searches)) {
  const times: number[] = [];
  const until = performance.now() + 10_000;
  for (let i = 0; i < Number(options.times) && performance.now() < until; i++) {
    const started = performance.now();
    await client.query(text);
    times.push(performance.now() - started);
  }
  console.log(
    `${what.padEnd(54)} ${quantile(times, 0.5).toFixed(2).padStart(7)} ${quantile(times, 0.95).toFixed(2).padStart(7)}`,
  );
}

const { rows } = await client.query(
  `select relname, relkind, pg_relation_size(oid) as bytes from pg_class
   where relnamespace = 'public'::regnamespace and relkind in ('r', 'i') and pg_relation_size(oid) > 1e6
   order by bytes desc`,
);
console.log('\nsize MB');
for (const { relname, bytes } of rows)
  console.log(`${relname.padEnd(30)} ${(Number(bytes) / 1e6).toFixed(0).padStart(6)}`);
await client.end();
await database.close();
