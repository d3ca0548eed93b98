/** Which part of a resource is wanted: `_summary` and `_elements` (R4 search.html#summary and #elements). */
import { render } from '../fhir/content.ts';
import { invalid } from '../fhir/outcome.ts';
import type { compileSubset, Part, Subset } from '../fhir/subset.ts';
import type { Context } from '../http/exchange.ts';
import { once } from '../http/parameters.ts';
import type { Stored } from '../records/records.ts';
import type { Parameter } from '../search/query-string.ts';
import type { PatchReaders } from './patch.ts';

/** What the interactions lean on beside what all routes do. */
export interface RestContext extends Context {
  readonly subset: ReturnType<typeof compileSubset>;
  readonly patches: PatchReaders;
}

export interface Selection {
  /** The resource's JSON as the client wants to see it, without the bytes of a Binary. */
  show(stored: Stored): string;
  /** whether the bytes of a Binary are part of it */
  readonly withData: boolean;
  readonly isWhole: boolean;
}

/** All of it. */
export const WHOLE: Selection = {
  show: (stored) => (stored.container ? stored.content : render(stored.content, stored)),
  withData: true,
  isWhole: true,
};

/** `_summary` and `_elements` as an interaction understood them. */
export interface Wanted {
  readonly summary?: string;
  readonly elements?: readonly string[];
}

/**
 * The selection that parameters ask for; where both are given, `_elements` says it more exactly.
 *
 * @param type of all resources it is for; undefined where they are of several
 * @throws     Refusal 400 for an element that the type does not have, and for elements of several types
 */
export function selectionOf({ subset }: RestContext, type: string | undefined, wanted: Wanted): Selection {
  const part = partOf(wanted);
  if (part === undefined) return WHOLE;
  if (type === undefined && 'elements' in part)
    throw invalid('not-supported', '_elements is for resources of one type: ask for the history of a type');
  const withData = 'elements' in part ? part.elements.includes('data') : part.summary === 'data';
  const only = type === undefined ? undefined : subset(type, part);
  const byType = new Map<string, Subset>();
  const of = (name: string): Subset => {
    const known = byType.get(name) ?? subset(name, part);
    byType.set(name, known);
    return known;
  };
  return { show: (stored) => (only ?? of(stored.type))(WHOLE.show(stored)), withData, isWhole: false };
}

function partOf({ summary, elements }: Wanted): Part | undefined {
  if (elements !== undefined) return { elements };
  return summary === 'true' || summary === 'text' || summary === 'data' ? { summary } : undefined;
}

const SUMMARIES = ['true', 'text', 'data', 'false'];

/**
 * Reads the parameters of a read.
 *
 * @throws Refusal 400 for any but `_summary` and `_elements`, and for `_summary=count`, which is of searches only
 */
export function readSelection(
  context: RestContext,
  type: string | undefined,
  parameters: readonly Parameter[],
): Selection {
  if (parameters.length === 0) return WHOLE;
  const { _summary: summary, _elements } = once(parameters, ['_summary', '_elements']);
  if (summary !== undefined && !SUMMARIES.includes(summary))
    throw invalid('value', `_summary is true, text, data or false here, not "${summary.slice(0, 80)}"`);
  const elements = _elements
    ?.split(',')
    .map((name) => name.trim())
    .filter(Boolean);
  if (elements?.length === 0) throw invalid('value', '_elements names elements, as in _elements=id,status');
  return selectionOf(context, type, { summary, elements });
}
