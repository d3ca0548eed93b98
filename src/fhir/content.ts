/**
 * How a resource is kept: the client's own JSON without insignificant white space, `resourceType` and what
 * remains of `meta` first, and without `id`, `meta.versionId` and `meta.lastUpdated`. These belong to the row
 * and are spliced in on the way out, so that reading parses nothing.
 */
import type { Meta, Resource } from 'fhir/r4.js';
import { withUrls } from './attachments.ts';
import { type ParsedJson, parseJson, parseKeepingNumbers } from './json.ts';

/** A resource that came in: as data, and as the text that is kept. */
export interface Incoming {
  readonly resource: Resource;
  readonly content: string;
  /** meta.security as JSON text, where there is any */
  readonly security: string | null;
}

/** What identifies one version of a resource. */
export interface Identity {
  readonly type: string;
  readonly id: string;
  readonly version: number;
  /** FHIR instant */
  readonly updated: string;
}

/**
 * Reads a resource as it came in.
 *
 * @param text a JSON object; its structure is not judged here
 * @throws     Refusal 400 as parseJson
 */
export function readIncoming(text: string): Incoming {
  return prepare(parseJson(text), text);
}

/** Texts in a resource that others have taken the place of, each so many times. */
export type Replaced = ReadonlyMap<string, { readonly to: string; readonly times: number }>;

const NOTHING: Replaced = new Map();

/**
 * Makes the kept text of a parsed resource.
 *
 * @param text what it was parsed from
 * @param edit replaces texts in the resource, in place
 */
export function prepare(
  { value, riskyNumber, compact }: ParsedJson,
  text: string,
  edit: (resource: Resource) => Replaced = () => NOTHING,
): Incoming {
  const resource = value as unknown as Resource;
  const replaced = edit(resource);
  const edited = compact ? withReplaced(text, replaced) : undefined;
  const content = edited === undefined ? undefined : asWritten(resource, edited);
  if (content !== undefined) {
    const labels = resource.meta?.security;
    return { resource, content, security: labels?.length ? JSON.stringify(labels) : null };
  }
  let printed = value;
  if (riskyNumber) {
    printed = parseKeepingNumbers(text);
    edit(printed as unknown as Resource);
  }
  return { resource, ...contentOf(printed) };
}

/**
 * The text with what was replaced, and else as the client wrote it. Undefined where a text stands elsewhere too, or is
 * written with other escapes: then only the resource itself tells what was meant.
 */
function withReplaced(text: string, replaced: Replaced): string | undefined {
  let edited = text;
  for (const [from, { to, times }] of replaced) {
    const pieces = edited.split(JSON.stringify(from));
    if (pieces.length - 1 !== times) return undefined;
    edited = pieces.join(JSON.stringify(to));
  }
  return edited;
}

/**
 * The kept text where nothing but an id has to be cut out of what was written, which spares printing it: with
 * resourceType first, then id, then meta, as far as there are any. Undefined elsewhere.
 */
function asWritten({ resourceType, id, meta }: Resource, text: string): string | undefined {
  const head = `{"resourceType":"${resourceType}"`;
  if (!text.startsWith(head)) return undefined;
  let rest = head.length;
  if (id !== undefined) {
    const member = `,"id":"${id}"`;
    if (!text.startsWith(member, rest)) return undefined;
    rest += member.length;
  }
  if (meta !== undefined) {
    const { versionId, lastUpdated } = meta ?? {};
    if (versionId !== undefined || lastUpdated !== undefined) return undefined;
    // An empty one would be spliced into wrongly.
    if (!text.startsWith(',"meta":{"', rest)) return undefined;
  }
  return rest === head.length ? text : head + text.slice(rest);
}

/** The kept text, and the labels, of a resource whose numbers print as they should. */
export function contentOf(resource: Record<string, unknown>): { content: string; security: string | null } {
  const { resourceType, id: _id, meta, ...rest } = resource;
  let kept = '';
  let security: string | null = null;
  if (typeof meta === 'object' && meta !== null) {
    const { versionId: _versionId, lastUpdated: _lastUpdated, ...others } = meta as Meta;
    const text = JSON.stringify(others);
    if (text !== '{}') kept = `,"meta":${text}`;
    if (others.security?.length) security = JSON.stringify(others.security);
  }
  const tail = JSON.stringify(rest);
  return {
    content: `{"resourceType":${JSON.stringify(resourceType)}${kept}${tail === '{}' ? '' : `,${tail.slice(1, -1)}`}}`,
    security,
  };
}

/** The resource's JSON as clients see it, from what is kept; urls stand for what is kept apart. */
export function render(content: string, identity: Identity): string {
  return withUrls(stamped(content, identity), identity);
}

/** The same, but that stand-ins stay for what is kept apart. */
export function stamped(content: string, { type, id, version, updated }: Identity): string {
  const head = 18 + type.length; // {"resourceType":"…"
  const begun = `${content.slice(0, head)},"id":"${id}","meta":{"versionId":"${version}","lastUpdated":"${updated}"`;
  return content.startsWith(',"meta":{', head)
    ? `${begun},${content.slice(head + 9)}`
    : `${begun}}${content.slice(head)}`;
}
