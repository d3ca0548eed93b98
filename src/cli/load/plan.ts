/**
 * What a JSON text asks to be loaded: single resources, or the entries of a Bundle that belong together.
 *
 * Each gets the id under which it is loaded before anything is written, always the same one; the server writes it
 * only if it never had it. So whatever was interrupted can be loaded again, and nothing is there twice. What says by
 * which condition it is known (ifNoneExist, or an update by a condition) is written only if nothing meets that.
 */
import { createHash } from 'node:crypto';
import { readBundle, type SplitEntry } from '../../fhir/entries.ts';
import { parseJson, parseKeepingNumbers } from '../../fhir/json.ts';
import { invalid, Refusal } from '../../fhir/outcome.ts';
import { isId } from '../../fhir/reference.ts';

/** Where a resource comes from. */
export interface Origin {
  readonly file: string;
  /** in a file of lines, from 1 */
  readonly line?: number;
  /** in a Bundle, from 0 as in Bundle.entry[0] */
  readonly entry?: number;
}

/** A resource to be loaded at `type`/`id`, if that was never written. */
export interface Resource {
  readonly origin: Origin;
  readonly type: string;
  readonly id: string;
  /** what the others in its Bundle refer to it by */
  readonly fullUrl?: string;
  /** its text, with that id */
  readonly body: string;
  /** the query by which it is found if it is there already: then its id is the server's */
  readonly ifNoneExist?: string;
}

/** What is written in one transaction. */
export interface Unit {
  readonly resources: readonly Resource[];
  /** whether one that is refused refuses all */
  readonly whole: boolean;
}

/** What cannot be loaded, and why. */
export interface Refused {
  readonly origin: Origin;
  readonly type?: string;
  /** the resource as it stands there, where it is known */
  readonly text?: string;
  readonly fault: Refusal;
  /** how many resources are refused with it */
  readonly count: number;
}

/** A part of a text that can be written, or not. */
export type Part = Unit | Refused;

/**
 * Plans one text. A transaction Bundle, and a collection whose entries refer to each other by `urn:`, is one unit;
 * the entries of other collections, batches and searchsets are single resources; documents and messages are
 * resources themselves (R4 bundle.html#bundle-unique); responses and histories are refused.
 */
export function plan(text: string, origin: Origin): Part[] {
  try {
    if (typeOf(text) !== 'Bundle') return [single(identified(text, origin, {}))];
    const { bundle, entries } = readBundle(text);
    switch (bundle.type) {
      case 'transaction':
        return [transaction(text, origin, entries)];
      case 'collection':
        if (entries.some(({ fullUrl }) => fullUrl?.startsWith('urn:')))
          return [transaction(text, origin, entries)];
        return each(entries, origin);
      case 'batch':
      case 'searchset':
        return each(entries, origin);
      case 'document':
      case 'message':
        return [single(identified(text, origin, {}))];
      default:
        throw invalid(
          'not-supported',
          `A Bundle of type ${bundle.type} holds nothing to load: use transaction, batch or collection`,
          'Bundle.type',
        );
    }
  } catch (fault) {
    if (!(fault instanceof Refusal)) throw fault;
    return [{ origin, text, fault: placed(fault, text), count: 1 }];
  }
}

const single = (resource: Resource): Unit => ({ resources: [resource], whole: false });

/** Entries that do not depend on each other. */
function each(entries: readonly SplitEntry[], origin: Origin): Part[] {
  return entries
    .filter(({ search }) => search?.mode !== 'outcome')
    .map((entry, index) => {
      const place = { ...origin, entry: index };
      try {
        return single(asked(entry, place));
      } catch (fault) {
        if (!(fault instanceof Refusal)) throw fault;
        return { origin: place, text: entry.resource, fault, count: 1 };
      }
    });
}

/** Entries of which all are written, or none. */
function transaction(text: string, origin: Origin, entries: readonly SplitEntry[]): Part {
  // Two entries without name and with the same content are two resources, in this Bundle.
  const hash = entries.some(({ fullUrl }) => !fullUrl) ? digest(text) : '';
  const resources: Resource[] = [];
  for (const [index, entry] of entries.entries()) {
    const place = { ...origin, entry: index };
    try {
      resources.push(asked(entry, place, () => `${hash}/${index}`));
    } catch (fault) {
      if (!(fault instanceof Refusal)) throw fault;
      return { origin: place, text: entry.resource, fault, count: entries.length };
    }
  }
  return { resources, whole: true };
}

/** A conditional reference, quickly found: only a transaction resolves it (R4 http.html#trules). */
const CONDITIONAL = /"reference"\s*:\s*"([A-Z][A-Za-z]+\?[^"]*)"/;

/**
 * The resource of an entry, and the id it is asked to be written at.
 *
 * @param name of one that has none
 */
function asked(entry: SplitEntry, origin: Origin, name?: () => string): Resource {
  const { request, fullUrl, resource: text } = entry;
  const where = `Bundle.entry[${origin.entry}]`;
  if (request && request.method !== 'POST' && request.method !== 'PUT')
    throw invalid('not-supported', `load only takes POST and PUT, not ${request.method}`, `${where}.request`);
  if (text === undefined) throw invalid('required', 'The entry has no resource', where);
  const put = request?.method === 'PUT';
  const [url = '', condition] = put ? splitQuery(request.url ?? '') : [];
  const conditional = name ? undefined : CONDITIONAL.exec(text)?.[1];
  if (conditional)
    throw invalid(
      'not-supported',
      `A conditional reference is resolved in a transaction only: ${conditional}`,
      `${where}.resource`,
    );
  const resource = identified(text, origin, {
    fullUrl,
    id: put && condition === undefined ? url.slice(url.indexOf('/') + 1) : undefined,
    posted: request?.method === 'POST',
    name,
  });
  const expected = put && condition === undefined ? `${resource.type}/${resource.id}` : resource.type;
  if (request && (put ? url : request.url) !== expected)
    throw invalid(
      'value',
      `The url of this entry must be ${expected}, not ${request.url}`,
      `${where}.request.url`,
    );
  const ifNoneExist = condition ?? request?.ifNoneExist;
  return ifNoneExist === undefined ? resource : { ...resource, ifNoneExist };
}

function splitQuery(url: string): [path: string, query?: string] {
  const mark = url.indexOf('?');
  return mark < 0 ? [url] : [url.slice(0, mark), url.slice(mark + 1)];
}

/** A UUID is an id as it is; of another urn (urn:oid:…) one is made. */
const idOf = (urn: string): string =>
  /^urn:uuid:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i.exec(urn)?.[1]?.toLowerCase() ?? uuid(urn);

/** `resourceType` and `id` where they stand first, as they mostly do: nothing is parsed for them then. */
const HEAD =
  /^\s*\{\s*"resourceType"\s*:\s*"([A-Za-z]+)"(?:\s*,\s*"id"\s*:\s*"([A-Za-z0-9\-.]{1,64})"\s*[,}])?/;

function headOf(text: string): [type?: string, id?: string] {
  const [, type, id] = HEAD.exec(text) ?? [];
  return [type && apart(type), id && apart(id)];
}

/** A part of a text is a view of it: an id in a cache would keep the whole Bundle in memory. */
const apart = (part: string): string => Buffer.from(part, 'latin1').toString('latin1');

/** The type of a resource. @throws Refusal where it is no JSON object */
function typeOf(text: string): unknown {
  return headOf(text)[0] ?? parseJson(text).value.resourceType;
}

/** What decides about the id of a resource. */
interface Wish {
  readonly fullUrl?: string;
  /** of PUT */
  readonly id?: string;
  /** POST: its own id says nothing (R4 http.html#create), unless fullUrl has it: what refers to it means that one */
  readonly posted?: boolean;
  /** of one that has no other */
  readonly name?: () => string;
}

/**
 * A resource with its id: the one asked for, else its own, else one made of its fullUrl, name or content.
 *
 * @throws Refusal 400 where it is no JSON object with a resourceType
 */
function identified(text: string, origin: Origin, { fullUrl, id: asked, posted, name }: Wish): Resource {
  let [type, own] = headOf(text);
  if (type === undefined || own === undefined) {
    const { value } = parseJson(text);
    if (typeof value.resourceType !== 'string')
      throw invalid('structure', 'There is no resourceType: this is no FHIR resource');
    type = value.resourceType;
    if (value.id !== undefined && typeof value.id !== 'string')
      throw invalid('structure', 'An id must be a string', `${type}.id`);
    own = value.id;
  }
  const named = fullUrl?.startsWith('urn:') ? idOf(fullUrl) : undefined;
  const kept = posted && (named || !fullUrl) ? undefined : own;
  const id = asked ?? kept ?? named ?? uuid(name?.() ?? text.trim());
  if (!isId(id))
    throw invalid('value', `"${id.slice(0, 80)}" is no id: up to 64 letters, digits, - and .`, `${type}.id`);
  return { origin, type, id, fullUrl, body: id === own ? text : withId(text, id, own) };
}

/** The text with another id; its numbers keep their digits. */
function withId(text: string, id: string, own: string | undefined): string {
  if (own !== undefined) return JSON.stringify({ ...parseKeepingNumbers(text), id });
  const start = text.indexOf('{') + 1;
  return `${text.slice(0, start)}"id":${JSON.stringify(id)},${text.slice(start)}`;
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A UUID that is always the same for a text: version 8, of SHA-256 (RFC 9562 5.8). */
function uuid(text: string): string {
  const hex = digest(text);
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20, 32)}`;
}

/** A fault within a Bundle's resource is shown where it is in the whole text. */
function placed(fault: Refusal, text: string): Refusal {
  try {
    parseJson(text);
    return fault;
  } catch (exact) {
    return exact instanceof Refusal ? exact : fault;
  }
}
