/**
 * Query strings that are nearly right: made from the grammar of searches, and then broken. By numbers that look like
 * chance, so that a seed tells them all.
 */
import type { Definitions } from '../../src/fhir/definitions.ts';

/** A request: a path under the FHIR base with its query, or a form to be posted. */
export interface Request {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly form?: string;
}

/** Numbers from 0 to below 1 (mulberry32). */
export function numbersFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const MODIFIERS = [
  ...[
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
  ],
  ...['Patient', 'Group', 'nonsense', '', ':', 'iterate', 'type', '[type]', 'exact:exact'],
];
const PREFIXES = ['eq', 'ne', 'gt', 'lt', 'ge', 'le', 'sa', 'eb', 'ap', 'xx', 'EQ', ''];
const RESULT = [
  ...[
    '_count',
    '_sort',
    '_summary',
    '_elements',
    '_total',
    '_contained',
    '_containedType',
    '_include',
    '_revinclude',
  ],
  ...[
    '_list',
    '_filter',
    '_text',
    '_content',
    '_query',
    '_page',
    '_type',
    '_format',
    '_pretty',
    '__explain',
    '_has',
  ],
  ...[
    '_id',
    '_lastUpdated',
    '_tag',
    '_profile',
    '_security',
    '_source',
    '_after',
    '_include:iterate',
    '_revinclude:iterate',
  ],
];
const VALUES = [
  ...[
    '',
    'x',
    'true',
    'false',
    '0',
    '-1',
    '1e999',
    '-1e-999',
    '999999999999999999999999',
    '0x10',
    'NaN',
    '1.',
    '.5',
  ],
  ...[
    '2020',
    '2020-13',
    '2020-02-30',
    '0000',
    '9999-12-31T23:59:59.999-14:00',
    '2020-01-01T25:00',
    '10000-01-01',
    '-2020',
  ],
  ...[
    'a|b',
    '|b',
    'a|',
    '|',
    '||',
    '|||',
    'a|b|c',
    'a|b|c|d',
    'a$b',
    '$',
    'a$b$c',
    'http://loinc.org|8867-4$gt5',
  ],
  ...[
    'Patient/1',
    'Patient/',
    '/1',
    'Patient/1/_history/x',
    'http://',
    'urn:uuid:x',
    'https://fhir.example.org/fhir/Patient/1',
  ],
  ...[
    '5||mg',
    '5|http://unitsofmeasure.org|mg',
    '5||[',
    '5||m.m.m/s2',
    '1||Cel',
    '42.3|-71|1|km',
    '999|999',
    '1|1|x|y',
    '1|1|1|furlong',
  ],
  ...[
    'name eq x',
    'name eq "',
    '(((',
    'not',
    'name co',
    'a.b.c eq 1',
    'name[x eq y].z eq 1',
    'or or or',
    'name re x',
  ],
  ...[
    'a and',
    '"',
    '(a or b',
    'a"b"c',
    '\\',
    '\\\\',
    '\\,',
    'a\\',
    ',,,',
    'a,b,c',
    ',',
    '%',
    '_',
    '*',
    "'",
    "';drop table resource;--",
  ],
  ...['\u0000', '\ud800', '\udfff', '\u200d', '😀', 'Ǆ', 'ı', '\u0301', 'ﬀ', '\n', '\r\n', '\t', '\u2028'],
  ...[
    'Patient:organization',
    'Patient:*',
    '*',
    'Observation:subject:Patient',
    ':::',
    'X:y',
    'count',
    'text',
    '-_id',
    '-',
    '--_id',
    '_id,-_lastUpdated,birthdate',
  ],
];
const WILD = [
  ...[
    '%',
    '%2',
    '%zz',
    '%00',
    '%C3%28',
    '%ED%A0%80',
    '%F4%90%80%80',
    '&',
    '=',
    '?',
    '#',
    ';',
    '+',
    '&&',
    '==',
    ':',
    '.',
    '..',
    ',',
    '|',
    '$',
    '\\',
    '"',
    "'",
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
  ],
  ...['<script>', '../', '%2e%2e%2f', '\u00e9', '__proto__', 'constructor', 'toString'],
];

/** Makes the nth requests of a seed. */
export function makeRequests(definitions: Definitions, seed: number): () => Request {
  const next = numbersFrom(seed);
  const below = (most: number): number => Math.floor(next() * most);
  const one = <T>(of: readonly T[]): T => of[below(of.length)] as T;
  const times = (most: number, make: () => string, between: string): string =>
    Array.from({ length: 1 + below(most) }, make).join(between);

  function typeName(): string {
    if (next() < 0.5)
      return one(['Patient', 'Observation', 'Encounter', 'Location', 'ValueSet', 'Bundle', 'List']);
    return next() < 0.97 ? one(definitions.resourceTypes) : one(['patient', 'Nothing', '', '*', '__proto__']);
  }

  function code(type: string): string {
    const parameters = definitions.searchParameters(type);
    return parameters.length > 0 && next() < 0.9
      ? one(parameters).code
      : one(['nonsense', 'nmae', '', '-', 'a b']);
  }

  function name(type: string, depth = 0): string {
    const dice = next();
    if (dice < 0.12) return one(RESULT);
    if (dice < 0.24 && depth < 12) {
      const target = typeName();
      return `${code(type)}${next() < 0.5 ? `:${target}` : ''}.${name(target, depth + 1)}`;
    }
    if (dice < 0.32 && depth < 12) {
      const source = typeName();
      return `_has:${source}:${code(source)}:${name(source, depth + 1)}`;
    }
    return dice < 0.55 ? `${code(type)}:${one(MODIFIERS)}` : code(type);
  }

  function value(): string {
    const dice = next();
    if (dice < 0.02) return Array.from({ length: 1 + below(1500) }, () => one(['a', '1', 'x|y'])).join(',');
    if (dice < 0.03) return one(['a', '(', '\\', '"', ' ', 'é']).repeat(1 + below(3000));
    if (dice < 0.05)
      return String.fromCharCode(...Array.from({ length: 1 + below(20) }, () => below(65_536)));
    const single = () => `${next() < 0.3 ? one(PREFIXES) : ''}${one(VALUES)}`;
    return next() < 0.75 ? single() : times(4, single, one([',', '$', '|', ' ']));
  }

  const encoded = (text: string): string => (next() < 0.9 ? encodeURIComponent(text.toWellFormed()) : text);

  function broken(text: string): string {
    if (next() < 0.7) return text;
    const at = below(text.length + 1);
    const dice = next();
    if (dice < 0.4) return text.slice(0, at) + one(WILD) + text.slice(at);
    if (dice < 0.7) return text.slice(0, at) + text.slice(at + 1 + below(3));
    return dice < 0.85 ? text + text.slice(at) : text.slice(0, at);
  }

  return () => {
    const type = typeName();
    const query = broken(
      times(next() < 0.03 ? 60 : 3, () => `${encoded(name(type))}=${encoded(value())}`, '&'),
    );
    // What Node's own client would refuse to send is sent as it can be.
    const sent = query.replace(/[^\u0021-\u007e]/g, (each) => encodeURIComponent(each.toWellFormed()));
    const dice = next();
    if (dice < 0.2) return { method: 'POST', path: `/${type}/_search`, form: query.toWellFormed() };
    if (dice < 0.25) return { method: 'POST', path: `/_search?${sent}`, form: '' };
    if (dice < 0.35) return { method: 'GET', path: `/?${sent}` };
    if (dice < 0.45)
      return {
        method: 'GET',
        path: `/${one(['Patient', 'Encounter', 'Device', 'Group'])}/1/${next() < 0.7 ? type : '*'}?${sent}`,
      };
    return { method: 'GET', path: `/${type}?${sent}` };
  };
}
