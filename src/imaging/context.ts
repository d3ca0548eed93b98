/** What all of DICOMweb leans on. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Context } from '../http/exchange.ts';
import type { Links } from '../media/links.ts';
import type { Caller } from '../records/records.ts';
import type { Cache } from './cache.ts';
import type { Dictionary } from './dicom/dictionary.ts';
import type { Renderer } from './render/renderer.ts';

export interface ImagingContext extends Pick<Context, 'config' | 'definitions' | 'records' | 'log'> {
  /** where DICOMweb is, as clients write it */
  readonly base: string;
  readonly dictionary: Dictionary;
  readonly renderer: Renderer;
  /** of pictures */
  readonly cache: Cache;
  /** to one picture each */
  readonly links: Links;
}

/** A request of somebody who has shown an access token. */
export interface Visit {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly caller: Caller;
  /** of the query */
  readonly query: URLSearchParams;
  /** UIDs and the like of the path, by their names in the route */
  readonly names: Readonly<Record<string, string>>;
}

/** A study, or a part of it, as a path names it. */
export interface Named {
  readonly study: string;
  readonly series?: string;
  readonly instance?: string;
}

export const namedBy = ({ names }: Visit): Named => {
  const { study = '', series, instance } = names;
  return { study, ...(series ? { series } : {}), ...(instance ? { instance } : {}) };
};
