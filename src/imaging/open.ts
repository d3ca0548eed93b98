/** Opens DICOMweb over the records. */
import { join } from 'node:path';
import type { Context } from '../http/exchange.ts';
import { openCache } from './cache.ts';
import { openDictionary } from './dicom/dictionary.ts';
import { purge } from './remove.ts';
import { openRenderer } from './render/renderer.ts';
import { BASE, type Handle, makeHandle } from './serve.ts';

export interface Imaging {
  readonly handle: Handle;
  /** Takes away what belongs to studies that were deleted. */
  purge(): Promise<void>;
  close(): Promise<void>;
}

export function openImaging({ config, definitions, records, log }: Context): Imaging {
  const context = {
    config,
    definitions,
    records,
    log,
    base: config.baseUrl + BASE,
    dictionary: openDictionary(),
    renderer: openRenderer(),
    cache: openCache(join(config.dataDir, 'pictures')),
  };
  return { handle: makeHandle(context), purge: () => purge(context), close: context.renderer.close };
}
