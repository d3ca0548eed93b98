/** What the text of a reference leads to (R4 references.html#literal). */
import { BASE_URL } from '../support/records.ts';

export interface Target {
  readonly type: string;
  readonly id: string;
  readonly version?: string;
  /** on this server */
  readonly here: boolean;
}

const LEADING =
  /^(https?:\/\/.+\/)?([A-Z][A-Za-z]+)\/([A-Za-z0-9.-]{1,64})(?:\/_history\/([A-Za-z0-9.-]{1,64}))?$/;

/** Undefined where it names no resource by type and id. */
export function parseReference(text: string): Target | undefined {
  const [, base, type, id, version] = LEADING.exec(text) ?? [];
  if (type === undefined || id === undefined) return undefined;
  return { type, id, version, here: base === undefined || base === `${BASE_URL}/` };
}
