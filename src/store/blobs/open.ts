/** Opens the store of bytes that the settings name. */
import type { Blobs } from './blobs.ts';
import { openDiskBlobs } from './disk.ts';
import { encrypted } from './encrypted.ts';

export interface Where {
  /** s3://…; undefined: a folder */
  readonly url: string | undefined;
  readonly folder: string;
  /** 32 bytes each, the newest first; none: bytes are not encrypted */
  readonly keys: readonly Buffer[];
}

/** @throws Error, saying what to do, where it cannot be used */
export async function openBlobs({ url, folder, keys }: Where): Promise<Blobs> {
  return encrypted(url === undefined ? await openDiskBlobs(folder) : await openBucket(url), keys);
}

/** Loaded when it is used: its library is the largest that there is. */
async function openBucket(url: string): Promise<Blobs> {
  const { openS3Blobs, readBucket } = await import('./s3.ts');
  return openS3Blobs(readBucket(url));
}
