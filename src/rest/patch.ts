/** The two languages of PATCH (R4 http.html#patch). */

import type { Definitions } from '../fhir/definitions.ts';
import { error, Refusal } from '../fhir/outcome.ts';
import { compileFhirPathPatch } from '../fhir/patch/fhirpath-patch.ts';
import { readJsonPatch } from '../fhir/patch/json-patch.ts';
import type { Patch } from '../fhir/patch/patch.ts';

export const JSON_PATCH = 'application/json-patch+json';

/** Reads the text of a patch; throws Refusal 400. */
export type ReadPatch = (text: string) => Patch | Promise<Patch>;

/** Makes the reader of both languages, once. */
export interface PatchReaders {
  readonly json: ReadPatch;
  readonly fhirPath: ReadPatch;
}

export function makePatchReaders(definitions: Definitions): PatchReaders {
  return { json: readJsonPatch, fhirPath: compileFhirPathPatch(definitions) };
}

/**
 * The reader for a content type.
 *
 * @throws Refusal 415 naming those there are (RFC 5789 §2.2)
 */
export function patchReader(patches: PatchReaders, contentType: string | undefined): ReadPatch {
  const type = contentType?.split(';')[0]?.trim().toLowerCase();
  if (type === JSON_PATCH) return patches.json;
  if (type === 'application/fhir+json' || type === 'application/json') return patches.fhirPath;
  const issue = error(
    'not-supported',
    `A patch is JSON Patch (${JSON_PATCH}) or FHIRPath Patch (Parameters as application/fhir+json)`,
  );
  throw new Refusal(415, [issue], { 'Accept-Patch': `${JSON_PATCH}, application/fhir+json` });
}
