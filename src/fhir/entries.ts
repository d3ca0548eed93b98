/**
 * A Bundle's text split into its skeleton and the texts of its entries' resources, which one quick pass finds
 * without parsing them: each is then read alone, as a resource that comes in alone is.
 */
import type { Bundle, BundleEntry } from 'fhir/r4.js';
import { endOfString, MAX_DEPTH, parseJson } from './json.ts';
import { invalid } from './outcome.ts';

export interface SplitBundle {
  /**
   * The Bundle without `entry[].resource`; what stands there and is no object is left, to be refused with the
   * rest. Its structure is not judged here.
   */
  readonly bundle: Bundle;
  /** As many as there are in `bundle.entry` */
  readonly entries: readonly SplitEntry[];
}

/** An entry whose resource is text. */
export type SplitEntry = Omit<BundleEntry, 'resource'> & {
  /** Exactly as it stands in the Bundle; nothing is known of it but that its brackets close */
  readonly resource?: string;
  /** Where `resource` begins in the Bundle's text */
  readonly offset?: number;
};

/**
 * Splits a Bundle. The resources within its resources (of a Bundle in a Bundle, in Parameters) stay where they are.
 *
 * @param text a JSON object
 * @returns    skeleton and texts: if all of these texts are JSON, so was the whole, within MAX_DEPTH
 * @throws     Refusal 400 as parseJson, with line and column in the whole text, where a fault is outside the
 *             resources or the whole is nested too deep; `entry` that is no array. For a fault in a resource's
 *             text, parseJson of the whole tells the place.
 */
export function readBundle(text: string): SplitBundle {
  const spans = findResources(text);
  const { entry, ...rest } = parseSkeleton(text, spans);
  if (entry === undefined) return { bundle: rest as unknown as Bundle, entries: [] };
  if (!Array.isArray(entry))
    throw invalid(
      'structure',
      'Bundle.entry must be a JSON array, one object for each entry',
      'Bundle.entry',
    );

  const entries: SplitEntry[] = entry.map((each: object | null) => ({ ...each, resource: undefined }));
  for (const { index, start, end } of spans) {
    const { resource: _placeholder, ...others } = entry[index];
    entry[index] = others;
    entries[index] = { ...others, resource: text.slice(start, end), offset: start };
  }
  return { bundle: { ...rest, entry } as unknown as Bundle, entries };
}

/** Where the resource of an entry stands in the text. */
interface Span {
  /** of the entry */
  readonly index: number;
  readonly start: number;
  readonly end: number;
}

const COMMA = 44;
const COLON = 58;
const QUOTE = 34;

/** Depths at which members stand: of the Bundle, and of an object in its array `entry`. */
const IN_BUNDLE = 1;
const IN_ENTRIES = 2;
const IN_ENTRY = 3;

/**
 * The objects under `entry[].resource`. Of a text that is not JSON it finds anything, but never what would make
 * JSON of the rest: a span begins after a colon and is replaced by one value.
 *
 * @throws Refusal 400 where one does not end, or makes the whole too deep
 */
function findResources(text: string): Span[] {
  const spans: Span[] = [];
  let depth = 0;
  let index = 0;
  let inEntries = false;
  // the last string, and the member whose value comes next
  let start = 0;
  let end = 0;
  let member = '';
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      start = i;
      end = endOfString(text, i);
      if (end < 0) break;
      i = end;
    } else if (code === COLON) {
      if (depth === IN_BUNDLE || depth === IN_ENTRY) member = memberName(text.slice(start, end + 1));
    } else if (code === COMMA) {
      member = '';
      if (inEntries && depth === IN_ENTRIES) index++;
    } else if (code === 123 || code === 91) {
      if (code === 123 && inEntries && depth === IN_ENTRY && member === 'resource') {
        const after = endOfObject(text, i);
        spans.push({ index, start: i, end: after });
        i = after - 1;
      } else {
        if (depth === IN_BUNDLE) {
          inEntries = code === 91 && member === 'entry';
          index = 0;
        }
        depth++;
      }
      member = '';
    } else if (code === 125 || code === 93) depth--;
  }
  return spans;
}

/** The name in a string as written, '' where its escapes are faulty. */
function memberName(written: string): string {
  if (!written.includes('\\')) return written.slice(1, -1);
  try {
    return JSON.parse(written);
  } catch {
    return '';
  }
}

/** The place after the bracket that closes the one at `start`. */
function endOfObject(text: string, start: number): number {
  let depth = IN_ENTRY;
  let deepest = depth;
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      i = endOfString(text, i);
      if (i < 0) break;
    } else if (code === 123 || code === 91) {
      if (++depth > deepest) deepest = depth;
    } else if ((code === 125 || code === 93) && --depth === IN_ENTRY) {
      if (deepest > MAX_DEPTH) break;
      return i + 1;
    }
  }
  // too deep, or not closed: parseJson tells which, and where
  parseJson(text);
  throw new Error('unreachable');
}

function parseSkeleton(text: string, spans: readonly Span[]): Record<string, unknown> {
  const pieces: string[] = [];
  let from = 0;
  for (const { start, end } of spans) {
    pieces.push(text.slice(from, start));
    from = end;
  }
  pieces.push(text.slice(from));
  try {
    return parseJson(pieces.join('null')).value;
  } catch (fault) {
    // the same fault, or an earlier one, with its place in the whole text
    parseJson(text);
    throw fault;
  }
}
