/** What is looked for by identifier as studies come in, as FHIR searches. */
import { type Condition, parseCondition } from '../../search/condition.ts';
import { parseSearch } from '../../search/parse.ts';
import type { Caller, Stored } from '../records.ts';
import { search } from '../search.ts';
import type { Setting } from '../setting.ts';
import { DICOM_UID } from './imaging.ts';

export interface Sought {
  readonly type: string;
  readonly system: string;
  readonly value: string;
  /** code of its status */
  readonly status?: string;
}

/** What is about a study (R4 imagingstudy.html#notes: its UID as an identifier). */
export const ofStudy = (uid: string): { readonly system: string; readonly value: string } => ({
  system: DICOM_UID,
  value: `urn:oid:${uid}`,
});

/** Two at most: whoever asks for one wants to know whether it is the only one. */
export async function findByIdentifier(
  setting: Setting,
  operator: Caller,
  sought: Sought,
): Promise<readonly Stored[]> {
  const parameters = [...parametersOf(sought), ['_count', '2'], ['_total', 'none']] as const;
  const request = parseSearch(setting.definitions, sought.type, parameters, setting.baseUrl);
  return (await search(setting, operator, request)).entries;
}

export function identifierCondition({ definitions, baseUrl }: Setting, sought: Sought): Condition {
  const query = new URLSearchParams(parametersOf(sought));
  return parseCondition(definitions, sought.type, query.toString(), baseUrl);
}

const parametersOf = ({ system, value, status }: Sought): [string, string][] => [
  ['identifier', `${escaped(system)}|${escaped(value)}`],
  ...(status === undefined ? [] : [['status', status] as [string, string]]),
];

const escaped = (text: string): string => text.replace(/[\\$,|]/g, '\\$&');
