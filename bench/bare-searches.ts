/**
 * What pages of searches are measured by: one hand-written prepared statement for that very search over the server's
 * own tables, and a Bundle put together from what it finds.
 *
 *     GET /search/code?PATIENT&SINCE      a patient's newest 20 of the most frequent code since a day
 *     GET /search/category?PATIENT        a patient's newest 50 vital signs
 *     GET /search/name?PREFIX&SINCE       20 patients by a name's beginning, born since a day
 */
import type pg from 'pg';
import { loadDefinitions } from '../src/fhir/definitions.ts';
import { openCatalog } from '../src/store/catalog.ts';
import { keyText, makeKeys, tokenKey } from '../src/store/index/keys.ts';
import { counted } from './dataset.ts';

const CATEGORY = 'http://terminology.hl7.org/CodeSystem/observation-category';

const page = (found: string): string => `
  select r.id, r.version, r.updated::text, r.content from (${found}) p join resource r on r.rid = p.rid
  order by p.at desc, p.rid desc`;

/** @returns answers a request with a Bundle's text */
export async function makeBareSearches(pool: pg.Pool): Promise<(url: string) => Promise<string>> {
  const definitions = await loadDefinitions();
  const catalog = await openCatalog(pool, definitions);
  const keys = makeKeys(catalog.secret);
  const own = (type: string, code: string) =>
    keys.parameter(type, definitions.searchParameters(type).find((one) => one.code === code)!);
  const patient = catalog.typeNumber('Patient');
  const code = keyText(tokenKey(own('Observation', 'code'), 'http://loinc.org', counted[0]!.code));
  const category = keyText(tokenKey(own('Observation', 'category'), CATEGORY, 'vital-signs'));
  const name = keyText(own('Patient', 'name'));
  const of = `t.patient = (select rid from resource where type = ${patient} and id = $1)`;
  const searches = {
    code: {
      type: 'Observation',
      text: page(`select t.at, t.rid from timeline t where ${of} and t.key = ${code} and t.at >= $2::timestamptz
        order by t.at desc, t.rid desc limit 20`),
    },
    category: {
      type: 'Observation',
      text: page(`select t.at, t.rid from timeline t where ${of} and t.key = ${category}
        order by t.at desc, t.rid desc limit 50`),
    },
    name: {
      type: 'Patient',
      text: page(`select i.at, i.rid from resource_index i
        where i.rid in (select rid from value_string where key = ${name} and value >= $1 and value <= $1 || chr(1114111))
          and i.at >= $2::timestamptz order by i.at desc, i.rid desc limit 20`),
    },
  };
  return async (url) => {
    const [path = '', query = ''] = url.split('?');
    const which = path.slice('/search/'.length) as keyof typeof searches;
    const { type, text } = searches[which];
    const values = query.split('&').map(decodeURIComponent);
    const { rows } = await pool.query({ name: `bare_${which}`, text, values, rowMode: 'array' });
    const entries = rows.map(([id, version, updated, content]) => {
      const meta = `"meta":{"versionId":"${version}","lastUpdated":"${updated}"}`;
      return `{"fullUrl":"http://localhost:8080/fhir/${type}/${id}","resource":{"id":"${id}",${meta},${content.slice(1)},"search":{"mode":"match"}}`;
    });
    return `{"resourceType":"Bundle","type":"searchset","entry":[${entries.join(',')}]}`;
  };
}
