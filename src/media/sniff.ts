/** What bytes are, not what they say: their beginning is looked at, whatever type was declared. */
import { fileTypeFromBuffer } from 'file-type';

/** So many bytes of the beginning tell. */
export const HEAD = 4100;

/** Where DICOM has its mark (PS3.10 §7.1); file-type does not know it. */
const DICM = 128;

/** What a browser would run, or an operating system: by what it begins with, whatever white space or mark is before. */
const MARKUP: readonly (readonly [RegExp, string])[] = [
  [/^<svg[\s>]|^(?:<\?xml[^>]*>|<!--[\s\S]*?-->|<!doctype svg[^>]*>|\s)+<svg[\s>]/i, 'image/svg+xml'],
  [
    /^(?:<!--[\s\S]*?-->\s*)?<(?:!doctype\s+html|html|head|body|script|iframe|style|title|table|div|p|a|b|br|h1|img|meta|link|font)[\s>/]/i,
    'text/html',
  ],
  [/<(?:script|iframe|html)[\s>]/i, 'text/html'],
  [/^<\?xml/i, 'application/xml'],
  [/^#!/, 'application/x-sh'],
];

/**
 * The media type that bytes show.
 *
 * @param head their first HEAD bytes, or all
 * @returns    null where they show none
 */
export async function kindOf(head: Uint8Array): Promise<string | null> {
  if (Buffer.from(head.subarray(DICM, DICM + 4)).toString('latin1') === 'DICM') return 'application/dicom';
  const found = await fileTypeFromBuffer(head).catch(() => undefined);
  // what is XML to file-type may be a picture with scripts, or a page
  if (found && found.mime !== 'application/xml') return found.mime;
  // whose directory, by which file-type knows it, may be at the end
  if (/^(?:II\*\0|MM\0\*)/.test(Buffer.from(head.subarray(0, 4)).toString('latin1'))) return 'image/tiff';
  const text = textOf(head);
  if (text === undefined) return null;
  const [, markup] = MARKUP.find(([pattern]) => pattern.test(text)) ?? [];
  return markup ?? (text === '' ? null : 'text/plain');
}

/** The beginning as text, without mark and white space before; undefined where it is none. */
function textOf(head: Uint8Array): string | undefined {
  const isWide = head[0] === 0xff && head[1] === 0xfe;
  try {
    // characters may be cut off at the end
    const text = new TextDecoder(isWide ? 'utf-16le' : 'utf-8', { fatal: true }).decode(head, {
      stream: true,
    });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what no text holds
    return /[\x00-\x08\x0e-\x1a]/.test(text) ? undefined : text.trimStart();
  } catch {
    return undefined;
  }
}
