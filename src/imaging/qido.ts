/** QIDO-RS (PS3.18 §10.6): studies, series and instances by their attributes. */
import { invalid } from '../fhir/outcome.ts';
import type { Filter, FoundRow, Level, Test } from '../records/imaging/imaging.ts';
import { answer, DICOM_JSON, demandJson } from './answers.ts';
import { type ImagingContext, namedBy, type Visit } from './context.ts';
import type { Dictionary } from './dicom/dictionary.ts';
import type { Attribute, Attributes } from './dicom/json.ts';
import { SERIES_TAGS, STUDY_TAGS } from './instance.ts';

/** On a page, unless asked otherwise, and at most. */
const DEFAULT_LIMIT = 100;
const MOST = 1000;

const MODALITIES = '00080061';

/** What is answered without being asked for (PS3.18 tables 10.6.3-3 to -5), beside what is made of the rows. */
const ALWAYS: Readonly<Record<Level, ReadonlySet<string>>> = {
  study: new Set(
    '00080005 00080020 00080030 00080050 00080090 00080201 00081030 00100010 00100020 00100021 00100030 00100040 0020000D 00200010'.split(
      ' ',
    ),
  ),
  series: new Set(
    '00080005 00080060 00080201 0008103E 0020000E 00200011 00400244 00400245 00400275'.split(' '),
  ),
  instance: new Set(
    '00080005 00080016 00080018 00080201 00200013 00280008 00280010 00280011 00280100'.split(' '),
  ),
};

const LEVELS: readonly Level[] = ['study', 'series', 'instance'];

interface Asked {
  readonly filters: readonly Filter[];
  readonly include: ReadonlySet<string> | 'all';
  readonly limit: number;
  readonly offset: number;
  readonly warnings: readonly string[];
}

/** Makes the search of a level. */
export function search(level: Level) {
  return async (context: ImagingContext, visit: Visit): Promise<void> => {
    demandJson(visit);
    const asked = readQuery(context.dictionary, level, visit.query);
    const named = namedBy(visit);
    const within: Filter[] = [];
    if (named.study) within.push(exactly('study', '0020000D', named.study));
    if (named.series) within.push(exactly('series', '0020000E', named.series));
    const { filters, limit, offset } = asked;
    const { rows, total } = await context.records.imaging.find(visit.caller, {
      level,
      filters: [...within, ...filters],
      limit,
      offset,
      asked: (visit.request.url as string).slice(1),
    });
    const body = rows.map((row) => shown(context.base, level, row, asked, named));
    const left = total === undefined ? undefined : total - offset - rows.length;
    const warnings = [
      ...asked.warnings,
      ...(left && left > 0
        ? [
            `The number of results exceeded the maximum supported by the server. Additional results can be requested.`,
          ]
        : []),
      ...(total === undefined
        ? ['There are more studies than could be looked through: narrow the search']
        : []),
    ];
    answer(visit, 200, DICOM_JSON, JSON.stringify(body), {
      ...(total === undefined ? {} : { 'X-Total-Count': total }),
      ...(warnings.length > 0
        ? { Warning: warnings.map((text) => `299 consilium "${text}"`).join(', ') }
        : {}),
    });
  };
}

const exactly = (level: Level, tag: string, uid: string): Filter => ({
  level,
  tag,
  vr: 'UI',
  test: { kind: 'one', values: [uid] },
});

/** @throws Refusal 400 naming the parameter */
function readQuery(dictionary: Dictionary, level: Level, query: URLSearchParams): Asked {
  const filters: Filter[] = [];
  const include = new Set<string>();
  let all = false;
  const fuzzy = query.get('fuzzymatching');
  if (fuzzy !== null && fuzzy !== 'true' && fuzzy !== 'false')
    throw invalid('value', 'fuzzymatching is true or false');
  const asked = whole(query, 'limit', DEFAULT_LIMIT);
  const limit = Math.min(asked, MOST);
  for (const [name, value] of query) {
    if (CONTROLS.has(name)) continue;
    if (name === 'includefield') {
      for (const field of value.split(',').filter(Boolean)) {
        if (field === 'all') all = true;
        else include.add(tagOf(dictionary, field));
      }
      continue;
    }
    const tag = tagOf(dictionary, name);
    const filter = filterOf(dictionary, level, tag, name, value, fuzzy === 'true');
    include.add(tag);
    if (filter) filters.push(filter);
  }
  return {
    filters,
    include: all ? 'all' : include,
    limit,
    offset: whole(query, 'offset', 0),
    warnings: asked > MOST ? [`At most ${MOST} results are given at once: ask for more with offset`] : [],
  };
}

const CONTROLS = new Set(['limit', 'offset', 'fuzzymatching', 'accept', 'charset']);

function whole(query: URLSearchParams, name: string, fallback: number): number {
  const text = query.get(name);
  if (text === null || text === '') return fallback;
  if (!/^\d{1,9}$/.test(text))
    throw invalid('value', `${name} is a whole number, not "${text.slice(0, 20)}"`);
  return Number(text);
}

function tagOf(dictionary: Dictionary, name: string): string {
  const tag = dictionary.tagNamed(name);
  if (tag) return tag;
  const why = name.includes('.')
    ? 'attributes within sequences are not searched'
    : 'name a DICOM attribute by its keyword or its tag, as PatientID or 00100020';
  throw invalid('not-supported', `"${name.slice(0, 60)}" cannot be searched by: ${why}`);
}

/** The condition of a parameter; none where its value is empty or all, which matches everything. */
function filterOf(
  dictionary: Dictionary,
  level: Level,
  tag: string,
  name: string,
  value: string,
  fuzzy: boolean,
): Filter | undefined {
  const of = levelOf(tag);
  if (LEVELS.indexOf(of) > LEVELS.indexOf(level))
    throw invalid(
      'not-supported',
      `${name.slice(0, 60)} is of each ${of}: search ${of === 'series' ? 'series' : 'instances'} by it`,
    );
  const number = Number.parseInt(tag, 16);
  const vr = dictionary.vrOf(number) ?? 'UN';
  if (vr === 'SQ' || vr.startsWith('O') || vr === 'UN' || vr === 'ox')
    throw invalid(
      'not-supported',
      `${name.slice(0, 60)} cannot be searched by: it has no values that are texts or numbers`,
    );
  if (/^\**$/.test(value)) return undefined;
  return { level: of, tag, vr, test: testOf(vr, name, value, fuzzy) };
}

function levelOf(tag: string): Level {
  if (STUDY_TAGS.has(tag) || tag === MODALITIES) return 'study';
  return SERIES_TAGS.has(tag) ? 'series' : 'instance';
}

/** PS3.4 §C.2.2.2. */
function testOf(vr: string, name: string, value: string, fuzzy: boolean): Test {
  if (vr === 'UI') {
    const values = value.split(/[,\\]/).map((one) => one.trim());
    return { kind: 'one', values: values.filter(Boolean) };
  }
  if (vr === 'DA' || vr === 'TM' || vr === 'DT') return rangeOf(vr, name, value);
  if (vr === 'PN' && fuzzy) return { kind: 'fuzzy', words: value.split(/[\s^*?,=]+/).filter(Boolean) };
  if (/[*?]/.test(value)) return { kind: 'wild', pattern: value };
  return { kind: 'one', values: vr === 'CS' ? value.split(/[,\\]/) : [value] };
}

/** A day or time, or a range of them; without an end it is open there. */
function rangeOf(vr: string, name: string, value: string): Test {
  const clean =
    vr === 'DA'
      ? value.replace(/(?<=\d{4})\.(?=\d{2}\.)|(?<=\d{2})\.(?=\d{2}\b)/g, '')
      : value.replaceAll(':', '');
  const [, low = '', dash, high = ''] = /^([\d.]*)(-?)([\d.]*)$/.exec(clean) ?? [];
  const form = vr === 'DA' ? /^(\d{8})?$/ : /^(\d{2,14}(\.\d+)?)?$/;
  if ((low === '' && high === '') || !form.test(low) || !form.test(high))
    throw invalid(
      'value',
      `${name.slice(0, 60)} is a ${vr === 'DA' ? 'day, as 20261125' : 'time, as 101500'}, or a range with - between two of them`,
    );
  if (!dash) return { kind: 'range', low, high: low };
  return { kind: 'range', ...(low ? { low } : {}), ...(high ? { high } : {}) };
}

/** One result. */
function shown(
  base: string,
  level: Level,
  row: FoundRow,
  { include }: Asked,
  named: { readonly study: string; readonly series?: string },
): Attributes {
  const { study, series, instance, counts, modalities } = row;
  const result: Record<string, Attribute> = {};
  row.attributes.forEach((text, i) => {
    const at = LEVELS[i] as Level;
    // what the path names is known to whoever asks, the rest is told (PS3.18 §10.6.3.3.1)
    const isTold = at === level || (at === 'study' && !named.study) || (at === 'series' && !named.series);
    for (const [tag, attribute] of Object.entries(JSON.parse(text) as Attributes)) {
      if (at === 'instance' && attribute.BulkDataURI !== undefined) continue;
      const isWanted = include === 'all' ? at !== 'instance' || tag.length === 8 : include.has(tag);
      if (isWanted || (isTold && ALWAYS[at].has(tag))) result[tag] = attribute;
    }
  });
  const whole = (value: number): Attribute => ({ vr: 'IS', Value: [value] });
  const ofStudy = `${base}/studies/${study}`;
  const ofSeries = `${ofStudy}/series/${series}`;
  result['0020000D'] = { vr: 'UI', Value: [study] };
  result['00080056'] = { vr: 'CS', Value: ['ONLINE'] };
  result['00081190'] = {
    vr: 'UR',
    Value: [
      level === 'study' ? ofStudy : level === 'series' ? ofSeries : `${ofSeries}/instances/${instance}`,
    ],
  };
  if (level === 'study' || !named.study) {
    result[MODALITIES] = { vr: 'CS', ...(modalities.length > 0 ? { Value: modalities } : {}) };
    result['00201206'] = whole(counts.series);
    result['00201208'] = whole(counts.instances);
  }
  if (level !== 'study') result['0020000E'] = { vr: 'UI', Value: [series as string] };
  if (level === 'series' || (level === 'instance' && !named.series))
    result['00201209'] = whole(counts.ofSeries);
  return Object.fromEntries(Object.entries(result).sort(([a], [b]) => (a < b ? -1 : 1)));
}
