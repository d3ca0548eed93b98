/** A resource in short: equal where all is equal but what the server sets. */
import { createHash } from 'node:crypto';
import type { Resource } from 'fhir/r4.js';

export function digest({ id: _id, meta, ...rest }: Resource): string {
  const { versionId: _versionId, lastUpdated: _lastUpdated, ...kept } = meta ?? {};
  return createHash('sha256')
    .update(JSON.stringify([kept, rest]))
    .digest('base64url');
}
