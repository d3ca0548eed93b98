/** What the matcher is told of a resource. */
import type { Resource } from 'fhir/r4.js';
import type { Facts } from '../search/match.ts';
import type { Analysis } from '../store/index/row.ts';
import { instantOf } from '../store/pool.ts';
import type { ReadSetting } from './setting.ts';

interface Named {
  readonly type: string;
  readonly id: string;
  /** milliseconds, FHIR instant or PostgreSQL's text */
  readonly updated: number | string;
}

/**
 * By what was extracted of it.
 *
 * @param joined whether it passes filters that other resources decide
 */
export function factsIn(
  { definitions, baseUrl }: Pick<ReadSetting, 'definitions' | 'baseUrl'>,
  { type, id, updated }: Named,
  { resource, extracted: values }: Pick<Analysis, 'resource' | 'extracted'>,
  joined?: Facts['joined'],
): Facts {
  const { isResourceType } = definitions;
  return {
    type,
    id,
    updated: millisecondsOf(updated),
    values,
    resource,
    baseUrl,
    isResourceType,
    ...(joined ? { joined } : {}),
  };
}

function millisecondsOf(updated: number | string): number {
  if (typeof updated === 'number') return updated;
  return Date.parse(updated.endsWith('Z') ? updated : instantOf(updated));
}

/** By its content as it is kept. */
export function factsOf(
  setting: ReadSetting,
  of: Named & { readonly content: string },
  joined?: Facts['joined'],
): Facts {
  const resource = JSON.parse(of.content) as Resource;
  return factsIn(setting, of, setting.store.indexer.analyse(resource, setting.baseUrl), joined);
}
