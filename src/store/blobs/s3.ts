/**
 * Bytes in a bucket of an S3 store. An object is there as a whole or not at all, so no draft has to be moved; what is
 * larger than a part goes up in parts, which are given up where one fails.
 */

import type { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { v7 as uuid } from 'uuid';
import { type Blobs, isName } from './blobs.ts';
import { beyond, derived, measure, missing, part, pieces, pouring } from './measure.ts';

/** Where the bucket is, as `s3://bucket/prefix?endpoint=https://…&region=…`; the keys are AWS's own variables. */
export interface Bucket {
  readonly bucket: string;
  /** ends with a slash, or is empty */
  readonly prefix: string;
  readonly client: Pick<S3ClientConfig, 'endpoint' | 'region' | 'forcePathStyle'>;
}

/** Bytes of a part; each upload under way holds as many. S3 takes 10,000 parts of 5 MiB at least. */
const PART = 8 * 2 ** 20;

/** No upload takes longer: objects bear the time at which theirs began. */
const LONGEST_UPLOAD = 86_400_000;

/** @throws Error, saying what is expected, where the text names no bucket */
export function readBucket(text: string): Bucket {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 's3:' || url.hostname === '')
    throw new Error(`expected s3://bucket/prefix?endpoint=…&region=…, not "${text}"`);
  const endpoint = url.searchParams.get('endpoint') ?? undefined;
  const path = url.pathname.replace(/^\/+|\/+$/g, '');
  return {
    bucket: url.hostname,
    prefix: path === '' ? '' : `${path}/`,
    client: {
      endpoint,
      region: url.searchParams.get('region') ?? 'us-east-1',
      // Stores other than Amazon's seldom have a host name for each bucket.
      forcePathStyle: endpoint !== undefined,
    },
  };
}

/** @throws Error where the bucket cannot be reached, or is not there */
export async function openS3Blobs({ bucket, prefix, client: config }: Bucket): Promise<Blobs> {
  const client = new S3Client(config);
  await client.send(new HeadBucketCommand({ Bucket: bucket })).catch((fault) => {
    throw new Error(`The bucket ${bucket} cannot be used: ${fault.name}. Check BLOBS_URL and the keys`);
  });
  const placeOf = (name: string) => ({ Bucket: bucket, Key: `${prefix}${name.slice(-2)}/${name}` });

  async function put(name: string, chunks: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    const place = placeOf(name);
    const options = { abortSignal: signal };
    let upload: string | undefined;
    const parts: { ETag: string | undefined; PartNumber: number }[] = [];
    try {
      for await (const { bytes, isLast } of pieces(chunks, PART)) {
        if (isLast && parts.length === 0) {
          await client.send(new PutObjectCommand({ ...place, Body: bytes }), options);
          return;
        }
        upload ??= (await client.send(new CreateMultipartUploadCommand(place), options)).UploadId as string;
        const PartNumber = parts.length + 1;
        const part = { ...place, UploadId: upload, PartNumber, Body: bytes };
        const { ETag } = await client.send(new UploadPartCommand(part), options);
        parts.push({ ETag, PartNumber });
      }
      const whole = { ...place, UploadId: upload, MultipartUpload: { Parts: parts } };
      await client.send(new CompleteMultipartUploadCommand(whole), options);
    } catch (fault) {
      if (upload !== undefined)
        await client.send(new AbortMultipartUploadCommand({ ...place, UploadId: upload })).catch(() => {});
      throw fault;
    }
  }

  const open: Blobs['open'] = async (name, range) => {
    if (!isName(name)) throw missing(name);
    const Range = range && `bytes=${range.start}-${range.end}`;
    try {
      const found = await client.send(new GetObjectCommand({ ...placeOf(name), Range }));
      const body = found.Body as Readable;
      const [from, size] = readContentRange(found.ContentRange) ?? [0, found.ContentLength ?? 0];
      if (!range) return { size, stream: body };
      // Of an empty object a store may send the whole instead of refusing.
      if (range.start >= size) throw beyond(range.start, size);
      // Stores may pass over a range, or over a part of it (RFC 9110 §14.2).
      const cut = part(body, { start: range.start - from, end: range.end - from });
      return { size, stream: derived(body, cut) };
    } catch (fault) {
      if (isNamed(fault, 'NoSuchKey') || isNamed(fault, 'NotFound')) throw missing(name);
      if (range && isNamed(fault, 'InvalidRange')) throw beyond(range.start, await sizeNamed(name));
      throw fault;
    }
  };

  return {
    async put(stream, options = {}) {
      const { chunks, measured } = measure(stream, options);
      const name = uuid();
      await put(name, chunks, options.signal);
      return { name, ...measured() };
    },

    open,
    pour: pouring(open),

    async remove(name) {
      if (isName(name)) await client.send(new DeleteObjectCommand(placeOf(name)));
    },

    names: () => namesBefore(Number.POSITIVE_INFINITY),

    async sweep(before, known) {
      const oldest = before - LONGEST_UPLOAD;
      return (await sweepObjects(oldest, known)) + (await sweepUploads(oldest));
    },
  };

  async function sizeNamed(name: string): Promise<number> {
    const { ContentLength = 0 } = await client.send(new HeadObjectCommand(placeOf(name)));
    return ContentLength;
  }

  /** The names of objects that were last written before a time, page by page. */
  async function* namesBefore(oldest: number): AsyncGenerator<string[]> {
    for (let token: string | undefined, more = true; more; more = token !== undefined) {
      const page = await client.send(
        new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ContinuationToken: token }),
      );
      token = page.NextContinuationToken;
      yield (page.Contents ?? [])
        .filter(({ LastModified }) => LastModified && LastModified.getTime() < oldest)
        .map(({ Key = '' }) => Key.slice(Key.lastIndexOf('/') + 1))
        .filter(isName);
    }
  }

  async function sweepObjects(oldest: number, known: Parameters<Blobs['sweep']>[1]): Promise<number> {
    let removed = 0;
    for await (const names of namesBefore(oldest)) {
      if (names.length === 0) continue;
      const kept = await known(names);
      const orphans = names.filter((name) => !kept.has(name));
      if (orphans.length === 0) continue;
      const Objects = orphans.map((name) => ({ Key: placeOf(name).Key }));
      await client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } }));
      removed += orphans.length;
    }
    return removed;
  }

  /** Parts of uploads that a killed writer left; not every store can list them. */
  async function sweepUploads(oldest: number): Promise<number> {
    const page = await client
      .send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix }))
      .catch(() => ({ Uploads: [] }));
    const left = (page.Uploads ?? []).filter(({ Initiated }) => Initiated && Initiated.getTime() < oldest);
    for (const { Key, UploadId } of left)
      await client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }));
    return left.length;
  }
}

/** Of `bytes 10-19/1000` the 10 and the 1000. */
function readContentRange(text: string | undefined): [from: number, size: number] | undefined {
  const found = /^bytes (\d+)-\d+\/(\d+)$/.exec(text ?? '');
  return found ? [Number(found[1]), Number(found[2])] : undefined;
}

const isNamed = (fault: unknown, name: string): boolean => (fault as { name?: unknown }).name === name;
