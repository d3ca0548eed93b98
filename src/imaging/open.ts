/** Opens DICOMweb over the records. */
import type { Server } from 'node:net';
import { join } from 'node:path';
import type { Context } from '../http/exchange.ts';
import type { Links } from '../media/links.ts';
import { openCache } from './cache.ts';
import { openDictionary } from './dicom/dictionary.ts';
import { type GatewayOptions, makeGateway } from './dimse/gateway.ts';
import { purge, sweepPictures } from './remove.ts';
import { openRenderer } from './render/renderer.ts';
import { openReview, type Review } from './review.ts';
import { type Studies, sending } from './send.ts';
import { BASE, type Handle, makeHandle } from './serve.ts';

export interface Imaging {
  readonly handle: Handle;
  /** what FHIR's operations on studies lean on */
  readonly studies: Studies;
  readonly review: Review;
  /** A DIMSE server for modalities, not listening yet. */
  gateway(options: GatewayOptions): Server;
  /** Takes away what belongs to studies that were deleted. */
  purge(): Promise<void>;
  /** Takes away pictures of files that other processes have removed. */
  sweep(): Promise<void>;
  close(): Promise<void>;
}

export function openImaging({ config, definitions, records, log }: Context, links: Links): Imaging {
  const context = {
    config,
    definitions,
    records,
    log,
    base: config.baseUrl + BASE,
    dictionary: openDictionary(),
    renderer: openRenderer(),
    cache: openCache(join(config.dataDir, 'pictures')),
    links,
  };
  return {
    handle: makeHandle(context),
    studies: sending(context),
    review: openReview(context),
    gateway: (options) => makeGateway(context, options),
    purge: () => purge(context),
    sweep: () => sweepPictures(context),
    close: context.renderer.close,
  };
}
