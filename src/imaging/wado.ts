/** WADO-RS (PS3.18 §10.4): instances, their metadata, frames and long values. */
import { invalid, refusal } from '../fhir/outcome.ts';
import { type Range, readRanges } from '../http/range.ts';
import type { InstancePlace } from '../records/imaging/imaging.ts';
import { type MediaType, takes } from './accept.ts';
import {
  acceptOf,
  answerParts,
  answerStream,
  begin,
  DICOM_JSON,
  demandJson,
  notAcceptable,
} from './answers.ts';
import { type ImagingContext, type Named, namedBy, type Visit } from './context.ts';
import type { Attribute, Attributes } from './dicom/json.ts';
import { EXPLICIT_LE, syntaxOf } from './dicom/syntaxes.ts';
import { answerZip, ZIP } from './download.ts';
import { type Opened, readFrame, readFrameNumbers } from './frames.ts';
import { allOf, bytesAt, type Layout } from './layout.ts';
import type { Outgoing } from './multipart.ts';
import { fileIn, frameIn, isDecodable, isMade, LOSSLESS, syntaxIn } from './transcode.ts';

const DICOM = 'application/dicom';
const OCTETS = 'application/octet-stream';

/** A stored instance with what is known of it. */
export function openedOf({ records }: ImagingContext, place: InstancePlace): Opened {
  return {
    place,
    attributes: JSON.parse(place.attributes) as Attributes,
    layout: JSON.parse(place.places) as Layout,
    open: (range) => records.imaging.open(place, range),
  };
}

/** The one instance that a path names. */
export async function oneInstance(context: ImagingContext, visit: Visit): Promise<Opened> {
  const { pages } = await context.records.imaging.read(visit.caller, namedBy(visit));
  for await (const [place] of pages) if (place) return openedOf(context, place);
  throw refusal(404, 'not-found', 'There is no such instance here');
}

const urlOf = (base: string, study: string, { series, uid }: InstancePlace): string =>
  `${base}/studies/${study}/series/${series}/instances/${uid}`;

/** A study, a series or an instance, as files. */
export async function retrieve(context: ImagingContext, visit: Visit): Promise<void> {
  const named = namedBy(visit);
  const reading = await context.records.imaging.read(visit.caller, named);
  const { syntaxes, pages } = reading;
  if (acceptOf(visit)[0]?.type === ZIP)
    return answerZip(context, visit, reading, named.instance ?? named.series ?? named.study);
  const wanted = chooseFiles(acceptOf(visit), syntaxes, named.instance !== undefined);
  if (wanted.single) {
    for await (const [place] of pages)
      if (place) return answerFile(context, visit, openedOf(context, place), wanted);
  }
  async function* parts(): AsyncGenerator<Outgoing> {
    for await (const page of pages)
      for (const place of page) {
        const opened = openedOf(context, place);
        const { syntax, body } = await fileOf(context, opened, wanted);
        const contentType = `${DICOM}; transfer-syntax=${syntax}`;
        yield { contentType, location: urlOf(context.base, named.study, place), body };
      }
  }
  return answerParts(visit, DICOM, await begun(parts()));
}

/** With the first part made before the answer begins: that it cannot be had can still be told then. */
async function begun<T>(items: AsyncGenerator<T>): Promise<AsyncGenerator<T>> {
  const first = await items.next();
  async function* all(): AsyncGenerator<T> {
    if (!first.done) yield first.value;
    yield* items;
  }
  return all();
}

interface Wanted {
  /** one file as the body, and no multipart */
  readonly single: boolean;
  /** undefined: as it is stored */
  readonly syntax: string | undefined;
}

/**
 * What of the accepted can be given.
 *
 * @throws Refusal 406
 */
function chooseFiles(accepted: readonly MediaType[], syntaxes: readonly string[], isOne: boolean): Wanted {
  for (const { type, parameters } of accepted) {
    const isMultipart = takes(type, 'multipart/related') && type !== '*/*';
    if (isMultipart && !takes((parameters.type ?? DICOM).toLowerCase(), DICOM)) continue;
    if (!isMultipart && !takes(type, DICOM)) continue;
    const single = isOne && type === DICOM;
    if (type === DICOM && !isOne) continue;
    const syntax = parameters['transfer-syntax'] ?? EXPLICIT_LE;
    if (syntax === '*' || syntaxes.every((one) => one === syntax)) return { single, syntax: undefined };
    if (isMade(syntax) && syntaxes.every((one) => isDecodable(one) || one === syntax))
      return { single, syntax };
  }
  throw notAcceptable(
    'multipart/related; type="application/dicom"; transfer-syntax=*',
    ...(isOne ? ['application/dicom; transfer-syntax=*'] : []),
    ZIP,
  );
}

async function fileOf(
  context: ImagingContext,
  opened: Opened,
  wanted: Pick<Wanted, 'syntax'>,
): Promise<{ readonly syntax: string; readonly body: AsyncIterable<Uint8Array> }> {
  const { syntax: stored } = opened.place;
  const syntax = wanted.syntax === undefined ? stored : syntaxIn(opened, wanted.syntax);
  if (syntax === stored) return { syntax, body: allOf(opened.open) };
  return { syntax, body: await fileIn(context, opened, syntax) };
}

/** One file by itself: as it is stored with ranges, as its bytes are known. */
export async function answerFile(
  context: ImagingContext,
  visit: Visit,
  opened: Opened,
  wanted: Pick<Wanted, 'syntax'>,
): Promise<void> {
  const { place } = opened;
  const syntax = wanted.syntax === undefined ? place.syntax : syntaxIn(opened, wanted.syntax);
  const contentType = `${DICOM}; transfer-syntax=${syntax}`;
  const disposition = { 'Content-Disposition': `attachment; filename="${place.uid}.dcm"` };
  if (syntax === place.syntax)
    return answerBytes(visit, {
      contentType,
      size: place.size,
      etag: `"${place.sha256}"`,
      headers: disposition,
      open: (range) => async () => (await opened.open(range)).stream,
    });
  const body = await fileIn(context, opened, syntax);
  return answerStream(visit, 200, { 'Content-Type': contentType, ...disposition }, body);
}

interface Bytes {
  readonly contentType: string;
  readonly size: number;
  readonly etag: string;
  readonly headers?: Readonly<Record<string, string>>;
  open(range?: Range): Parameters<typeof answerStream>[3];
}

/** Bytes whose size is known: all of them, or the one range that is asked for (RFC 9110 §14). */
async function answerBytes(visit: Visit, { contentType, size, etag, headers, open }: Bytes): Promise<void> {
  const { 'if-none-match': known, 'if-range': same, range } = visit.request.headers;
  const common = { ETag: etag, 'Accept-Ranges': 'bytes', ...headers };
  if (known?.split(',').some((one) => one.trim().replace(/^W\//, '') === etag)) {
    begin(visit, common);
    visit.response.writeHead(304).end();
    return;
  }
  const ranges = same === undefined || same === etag ? readRanges(range, size) : undefined;
  if (ranges === 'unsatisfiable') {
    begin(visit, { 'Content-Range': `bytes */${size}` });
    throw refusal(416, 'value', `The range is outside of the ${size} bytes that there are`);
  }
  const [only, ...more] = ranges ?? [];
  // Of several ranges all is sent, which RFC 9110 §14.2 allows.
  if (!only || more.length > 0)
    return answerStream(
      visit,
      200,
      { ...common, 'Content-Type': contentType, 'Content-Length': size },
      open(),
    );
  const { start, end } = only;
  return answerStream(
    visit,
    206,
    {
      ...common,
      'Content-Type': contentType,
      'Content-Range': `bytes ${start}-${end}/${size}`,
      'Content-Length': end - start + 1,
    },
    open(only),
  );
}

/** Metadata in DICOM JSON, one object for each instance. */
export async function metadata(context: ImagingContext, visit: Visit): Promise<void> {
  demandJson(visit);
  const named = namedBy(visit);
  const { pages } = await context.records.imaging.read(visit.caller, named);
  async function* pieces(): AsyncGenerator<Uint8Array> {
    let lead = '[';
    for await (const page of pages)
      for (const place of page) {
        yield Buffer.from(lead + JSON.stringify(shownAttributes(context.base, named, place)));
        lead = ',\n';
      }
    yield Buffer.from(']');
  }
  return answerStream(visit, 200, { 'Content-Type': DICOM_JSON }, pieces());
}

/** With URLs of what is long, and the transfer syntax that it is stored in. */
function shownAttributes(base: string, { study }: Named, place: InstancePlace): Attributes {
  const url = `${urlOf(base, study, place)}/bulkdata/`;
  const shown = withUrls(sound(JSON.parse(place.attributes) as Attributes), url);
  return { ...shown, '00083002': { vr: 'UI', Value: [place.syntax] } };
}

/**
 * Without a Pixel Spacing that is not positive, as PS3.3 §10.7.1.3 has it: viewers (OHIF) show nothing at all by such a one. The
 * file keeps it.
 */
function sound(attributes: Attributes): Attributes {
  const { [PIXEL_SPACING]: spacing, ...others } = attributes;
  const isSound = spacing?.Value?.every((one) => typeof one === 'number' && one > 0) ?? true;
  return isSound ? attributes : others;
}

const PIXEL_SPACING = '00280030';

const withUrls = (attributes: Attributes, url: string): Attributes =>
  Object.fromEntries(
    Object.entries(attributes).map(([tag, attribute]): [string, Attribute] => {
      if (attribute.BulkDataURI !== undefined)
        return [tag, { vr: attribute.vr, BulkDataURI: url + attribute.BulkDataURI }];
      if (attribute.vr !== 'SQ' || !attribute.Value) return [tag, attribute];
      return [
        tag,
        { vr: 'SQ', Value: (attribute.Value as readonly Attributes[]).map((item) => withUrls(item, url)) },
      ];
    }),
  );

/** Frames, each a part. */
export async function frames(context: ImagingContext, visit: Visit): Promise<void> {
  const numbers = readFrameNumbers(visit.names.frames ?? '');
  const opened = await oneInstance(context, visit);
  const { place } = opened;
  const beyond = numbers.find((one) => one > place.frames);
  if (beyond !== undefined)
    throw refusal(
      404,
      'not-found',
      `This instance has ${place.frames} frames: there is none of the number ${beyond}`,
    );
  const { single, type, syntax } = chooseFrames(acceptOf(visit), place.syntax, numbers.length === 1);
  const contentType = `${type}; transfer-syntax=${syntax}`;
  const bytesOf = (number: number): Promise<Uint8Array> =>
    syntax === place.syntax ? readFrame(opened, number) : frameIn(context, opened, number, syntax);
  // The first one tells whether they can be had, while that can still be answered.
  const first = await bytesOf(numbers[0] as number);
  if (single)
    return answerStream(
      visit,
      200,
      { 'Content-Type': contentType, 'Content-Length': first.length },
      each([first]),
    );
  async function* parts(): AsyncGenerator<Outgoing> {
    const { series, instance, study } = namedBy(visit);
    const url = `${context.base}/studies/${study}/series/${series}/instances/${instance}/frames/`;
    for (const [i, number] of numbers.entries())
      yield { contentType, location: url + number, body: [i === 0 ? first : await bytesOf(number)] };
  }
  return answerParts(visit, type, parts());
}

async function* each(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

/** @throws Refusal 406 */
function chooseFrames(
  accepted: readonly MediaType[],
  stored: string,
  isOne: boolean,
): Pick<Wanted, 'single'> & { readonly type: string; readonly syntax: string } {
  const { mediaType, encapsulated } = syntaxOf(stored);
  for (const { type, parameters } of accepted) {
    const isMultipart = takes(type, 'multipart/related') && type !== '*/*';
    const asked = (isMultipart ? (parameters.type ?? OCTETS) : type).toLowerCase();
    const single = isOne && !isMultipart && type !== '*/*';
    if (!isOne && !isMultipart && type !== '*/*') continue;
    const syntax = parameters['transfer-syntax'];
    if (
      encapsulated &&
      (syntax === '*' || syntax === stored || (asked === mediaType && syntax === undefined))
    ) {
      // Whoever takes what is stored by any name gets it by its own.
      if (asked === OCTETS || takes(asked, mediaType)) return { single, syntax: stored, type: mediaType };
    }
    const isNative = syntax === undefined || syntax === '*' || syntax === EXPLICIT_LE;
    if (takes(asked, OCTETS) && isNative && isDecodable(stored))
      return { single, syntax: EXPLICIT_LE, type: OCTETS };
    const target = syntax ?? LOSSLESS[asked] ?? '';
    if (LOSSLESS[asked] === target && isDecodable(stored)) return { single, syntax: target, type: asked };
  }
  throw notAcceptable(
    `multipart/related; type="${mediaType}"; transfer-syntax=${encapsulated ? stored : EXPLICIT_LE}`,
  );
}

/** A long value, by its path as metadata has it. */
export async function bulkdata(context: ImagingContext, visit: Visit): Promise<void> {
  const path = visit.names.path ?? '';
  if (!/^[0-9A-Fa-f]{8}(?:\/\d+\/[0-9A-Fa-f]{8})*$/.test(path))
    throw invalid('value', 'A long value is named by its tag, as in /bulkdata/7FE00010');
  const opened = await oneInstance(context, visit);
  const { place, layout } = opened;
  const { pixels, bulk } = layout;
  const isPixels = path.toUpperCase() === '7FE00010';
  const types = acceptOf(visit);
  const isMultipart = types.some(({ type }) => takes(type, 'multipart/related') && type !== '*/*');
  const isSingle = types.some(({ type }) => takes(type, OCTETS));
  if (!isMultipart && !isSingle) throw notAcceptable(OCTETS);
  if (isPixels && pixels?.fragments) {
    const { mediaType } = syntaxOf(place.syntax);
    async function* parts(): AsyncGenerator<Outgoing> {
      for (let number = 1; number <= place.frames; number++)
        yield {
          contentType: `${mediaType}; transfer-syntax=${place.syntax}`,
          body: [await readFrame(opened, number)],
        };
    }
    return answerParts(visit, mediaType, await begun(parts()));
  }
  const stretch = bulk[path.toUpperCase()];
  if (!stretch) throw refusal(404, 'not-found', 'This instance has no long value there');
  const { offset, length } = stretch;
  const read = (range?: Range): AsyncIterable<Uint8Array> =>
    bytesAt(opened.open, place, layout, {
      offset: offset + (range?.start ?? 0),
      length: range ? range.end - range.start + 1 : length,
    });
  if (isSingle || !isMultipart)
    return answerBytes(visit, {
      contentType: OCTETS,
      size: length,
      etag: `"${place.sha256}.${path}"`,
      open: read,
    });
  return answerParts(visit, OCTETS, [
    { contentType: `${OCTETS}; transfer-syntax=${EXPLICIT_LE}`, body: read() },
  ]);
}
