/** Queries that are nearly right, and some that are nowhere near, as bytes of a URL or a form. */
import fc from 'fast-check';
import type { Definitions, SearchParameter } from '../../src/fhir/definitions.ts';

export interface Query {
  readonly method: 'GET' | 'POST';
  /** under the FHIR base, as it stands in the request line */
  readonly path: string;
  /** `name=value` each, encoded well or badly */
  readonly pairs: readonly string[];
}

const MODIFIERS = [
  'missing',
  'exact',
  'contains',
  'text',
  'not',
  'in',
  'not-in',
  'above',
  'below',
  'of-type',
  'identifier',
  'iterate',
  'Patient',
  'Group',
  'Nobody',
  '',
  'EXACT',
  'not:not',
  '__proto__',
  'constructor',
];

const RESULTS = [
  '_sort',
  '_count',
  '_include',
  '_include:iterate',
  '_revinclude',
  '_revinclude:recurse',
  '_include:',
  '_summary',
  '_elements',
  '_total',
  '_page',
  '_filter',
  '_query',
  '_list',
  '_type',
  '_contained',
  '_containedType',
  '_format',
  '_pretty',
  '_text',
  '_content',
  '_id',
  '_lastUpdated',
  '_has',
  '_has:',
  '_has:Observation:patient',
  '__explain',
  '_since',
  '__proto__',
  'toString',
];

const NUMBERS = [
  '0',
  '-0',
  '5.4',
  '1e3',
  '1e308',
  '1e309',
  '-1e999',
  '1e-400',
  '9'.repeat(400),
  `0.${'0'.repeat(90)}1`,
  `0.${'0'.repeat(200)}1`,
  'NaN',
  'Infinity',
  '0x10',
  '5.',
  '.5',
  '5,4',
  '--5',
  '１２',
];
const DATES = [
  '2020',
  '0000',
  '0001-01-01T00:00:00+14:00',
  '9999-12-31T23:59:59-14:00',
  '10000',
  '-2020',
  '2021-13',
  '2021-02-30',
  '2021-2-3',
  '2021-01-01T',
  '2021-01-01T24:00:00Z',
  '2016-12-31T23:59:60Z',
  '2021-01-01T10:00:00.123456789012345678901234567890Z',
  '2021-01-01T10:00 02:00',
  '2021-01-01T10:00:00+99:99',
  '20210101',
  'today',
];
const PREFIXES = ['', 'eq', 'ne', 'gt', 'lt', 'ge', 'le', 'sa', 'eb', 'ap', 'xx', 'GE', 'gege', '~', '>='];
const TEXTS = [
  'x',
  'Søren',
  '王',
  '😀',
  '\u0000',
  'a\u0000b',
  '\u0001\u0002\u001f\u007f',
  '\r\nX-Injected: 1',
  '\ud800',
  'a\udfff',
  '\u202e\u200b\ufeff',
  '\u0301\u0301',
  '%',
  '%25',
  "' or 1=1 --",
  '"; drop table resource; --',
  '$1',
  '\\',
  'a\\',
  '\\\\,\\|\\$\\x',
  '.*(a+)+$',
  '\ufdfa'.repeat(40),
  'a'.repeat(10_000),
  ' ',
  '-',
  '',
];
const PARTS = [
  '|',
  '||',
  'a|b|c|d',
  '|x',
  'x|',
  '$',
  '$$$',
  'a$b',
  ',',
  ',,,',
  'http://a|x',
  '5||',
  '5|||mg',
  '5|http://unitsofmeasure.org|',
];
const UNITS = ['mg', 'm'.repeat(60), '((((m))))', '10*', '10*99', 'kg/m2', '[pH]', '1/0', 'mg/'.repeat(20)];
const REFERENCES = [
  'Patient/w1-1',
  'w1-1',
  'Patient/',
  '/w1-1',
  'Nobody/1',
  'Patient/1/_history/',
  'Patient/1/2/3',
  'http://',
  'http://a/b|1|2',
  'urn:',
  '#c',
  '../../etc/passwd',
  `Patient/${'1'.repeat(65)}`,
];
const FILTERS = [
  'name eq x',
  'name',
  'name eq',
  '(',
  ')',
  '('.repeat(500),
  `${'not ('.repeat(60)}name eq x${')'.repeat(60)}`,
  'name eq "',
  'name eq "\\u12"',
  `${'name eq x and '.repeat(400)}name eq x`,
  'a.b.c.d.e.f.g.h eq 1',
  'name[a eq b].x eq 1',
  'subject.name co "x" or not(_id eq 1)',
  'name zz x',
];
const INCLUDES = [
  '*',
  'Observation:subject',
  'Observation:*',
  'Observation:subject:Patient',
  'Observation:subject:Nobody',
  'Nobody:x',
  ':',
  '::::',
  'Observation:code',
  'Patient:*:*:*',
];

const of = (all: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...all);

const value: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(of(PREFIXES), of(NUMBERS)).map((both) => both.join('')),
  fc.tuple(of(PREFIXES), of(DATES)).map((both) => both.join('')),
  fc
    .tuple(of(PREFIXES), of(NUMBERS), of(UNITS))
    .map(([prefix, number, unit]) => `${prefix}${number}||${unit}`),
  of(TEXTS),
  of(PARTS),
  of(REFERENCES),
  of(FILTERS),
  of(INCLUDES),
  of([
    'true',
    'false',
    'both',
    'count',
    'text',
    'data',
    'accurate',
    'none',
    'estimate',
    '-date,--x,',
    '-',
    'Patient,Nobody',
    'AAAA',
    'json',
    'xml',
    'application/fhir+json;fhirVersion=9',
  ]),
  fc.tuple(of(TEXTS), of(PARTS), of(NUMBERS)).map((all) => all.join('')),
  fc.string({ unit: 'binary', maxLength: 20 }),
);

const dated = fc.tuple(of(PREFIXES.slice(0, 10)), of(DATES)).map((both) => both.join(''));
const numbered = fc.tuple(of(PREFIXES.slice(0, 10)), of(NUMBERS)).map((both) => both.join(''));

/** Values that a type of parameter could have, and might stumble over. */
const FITTING: Readonly<Record<SearchParameter['type'], fc.Arbitrary<string>>> = {
  date: dated,
  number: numbered,
  quantity: fc
    .tuple(numbered, of(['', '||', '|http://unitsofmeasure.org|']), of(UNITS))
    .map((all) => all.join('')),
  string: of(TEXTS),
  token: fc.oneof(of(TEXTS), of(PARTS)),
  reference: fc.oneof(of(REFERENCES), of(TEXTS)),
  uri: fc.oneof(of(TEXTS), of(REFERENCES)),
  composite: fc.tuple(of(TEXTS), fc.oneof(dated, numbered, of(TEXTS))).map((both) => both.join('$')),
  special: fc
    .tuple(of(NUMBERS), of(NUMBERS), of(['', '|10|km', '|-1|km', '|1e300|m']))
    .map(([a, b, far]) => `${a}|${b}${far}`),
};

/** One, several, or very many. */
const values = fc.oneof(
  { weight: 12, arbitrary: value },
  { weight: 3, arbitrary: fc.array(value, { minLength: 2, maxLength: 5 }).map((all) => all.join(',')) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        of(['x', '1', '2020', 'Patient/1', '|', '5||mg', '\\,']),
        fc.constantFrom(60, 1100, 2500, 21_000),
      )
      .map(([one, times]) => `${one},`.repeat(times)),
  },
);

/** Text as it should be in a URL; lone surrogates in the three bytes that UTF-8 has not for them. */
function encoded(text: string): string {
  let out = '';
  for (const sign of text) {
    const point = sign.codePointAt(0) as number;
    if (point >= 0xd800 && point <= 0xdfff)
      out += `%ED%${(0x80 | ((point >> 6) & 0x3f)).toString(16)}%${(0x80 | (point & 0x3f)).toString(16)}`;
    else out += encodeURIComponent(sign);
  }
  return out;
}

const ESCAPES = [
  '%',
  '%2',
  '%zz',
  '%u0041',
  '%00',
  '%C0%80',
  '%FF',
  '%ED%A0%80',
  '%F4%90%80%80',
  '+',
  '%2B',
  ';',
  '#',
  '?',
  '==',
  '&&',
  '=',
  '[',
  ']',
  '\u00e9',
];

/** A text with something put in, taken out or said again. */
const mutated = (text: string): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constant(text) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.nat(Math.max(0, text.length)), of(ESCAPES))
        .map(([at, what]) => text.slice(0, at) + what + text.slice(at)),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.nat(Math.max(0, text.length)), fc.nat(5))
        .map(([at, length]) => text.slice(0, at) + text.slice(at + length)),
    },
    { weight: 1, arbitrary: fc.constantFrom(2, 30).map((times) => text.slice(0, 500).repeat(times)) },
  );

/** Names of parameters of a type, with what may stand after them. */
function nameOf(definitions: Definitions, type: string): fc.Arbitrary<string> {
  const own = definitions.searchParameters(type).map(({ code }) => code);
  const code = own.length > 0 ? of(own) : of(['code', 'name']);
  const modified = fc.tuple(code, of(MODIFIERS)).map((both) => both.join(':'));
  const link = of([
    'subject',
    'patient',
    'subject:Patient',
    'has-member',
    'partof',
    'encounter',
    'performer:Organization',
    'x',
    '',
  ]);
  const chain = fc
    .tuple(fc.array(link, { minLength: 1, maxLength: 9 }), fc.oneof(code, modified))
    .map(([links, end]) => [...links, end].join('.'));
  const has = fc
    .tuple(
      fc.array(
        of(['Observation:patient', 'Encounter:subject', 'Nobody:x', 'Observation:code', ':', 'List:item']),
        { minLength: 1, maxLength: 8 },
      ),
      code,
    )
    .map(([links, end]) => `${links.map((one) => `_has:${one}:`).join('')}${end}`);
  return fc.oneof(
    { weight: 6, arbitrary: code },
    { weight: 3, arbitrary: modified },
    { weight: 4, arbitrary: of(RESULTS) },
    { weight: 2, arbitrary: chain },
    { weight: 2, arbitrary: has },
    { weight: 1, arbitrary: fc.oneof(of(TEXTS), fc.string({ unit: 'binary', maxLength: 12 })) },
  );
}

const PLACES = [
  '',
  'Patient/w1-1/Observation',
  'Patient/w1-1/*',
  'Encounter/w1-1/Condition',
  'Patient/none/Observation',
  'Patient/w1-1/Nobody',
  'Nobody',
  'Observation/_search',
  'Patient/w1-1/_search',
  'Device/w1-1/*',
  'Group/w1-1/*',
];

/** Any query, over any type. */
export function query(definitions: Definitions): fc.Arbitrary<Query> {
  const usual = [
    'Observation',
    'Patient',
    'Encounter',
    'Condition',
    'Location',
    'Questionnaire',
    'RiskAssessment',
    'MolecularSequence',
  ];
  const type = fc.oneof(of(usual), of(definitions.resourceTypes));
  const place = fc.oneof(
    { weight: 6, arbitrary: type.map((one) => ({ type: one, path: one })) },
    { weight: 2, arbitrary: of(PLACES).map((path) => ({ type: 'Observation', path })) },
  );
  return place.chain((found) => {
    const own = definitions.searchParameters(found.type);
    const fitting = fc
      .constantFrom(...(own.length > 0 ? own : definitions.searchParameters('Patient')))
      .chain(({ code, type: kind }) => FITTING[kind].map((one) => [code, one] as const));
    const pair = fc
      .oneof(
        { weight: 3, arbitrary: fitting },
        { weight: 2, arbitrary: fc.tuple(nameOf(definitions, found.type), values) },
      )
      .map(([name, one]) => `${encoded(name)}=${encoded(one)}`)
      .chain(mutated);
    return fc.record({
      method: fc.constantFrom('GET', 'GET', 'POST'),
      path: fc.constant(found.path),
      pairs: fc.oneof(
        { weight: 10, arbitrary: fc.array(pair, { minLength: 1, maxLength: 3 }) },
        { weight: 1, arbitrary: fc.array(pair, { minLength: 40, maxLength: 70 }) },
      ),
    });
  });
}
