/** Transfer syntaxes (PS3.5 §10, annex A): how a dataset is written, and how its pixels are. */

export interface TransferSyntax {
  readonly uid: string;
  /** whether each element says its VR */
  readonly explicit: boolean;
  readonly bigEndian: boolean;
  /** whether all after the file meta information is compressed */
  readonly deflated: boolean;
  /** whether pixel data is in fragments */
  readonly encapsulated: boolean;
  /** of one frame as it is stored (PS3.18 table 8.7.3-2) */
  readonly mediaType: string;
}

export const IMPLICIT_LE = '1.2.840.10008.1.2';
export const EXPLICIT_LE = '1.2.840.10008.1.2.1';
const DEFLATED = '1.2.840.10008.1.2.1.99';
const EXPLICIT_BE = '1.2.840.10008.1.2.2';

const NATIVE: ReadonlySet<string> = new Set([IMPLICIT_LE, EXPLICIT_LE, DEFLATED, EXPLICIT_BE]);

const OCTETS = 'application/octet-stream';

/** Media types of what is encapsulated, by the UID's end under 1.2.840.10008.1.2. */
const ENCAPSULATED: Readonly<Record<string, string>> = {
  '.4.50': 'image/jpeg',
  '.4.51': 'image/jpeg',
  '.4.57': 'image/jpeg',
  '.4.70': 'image/jpeg',
  '.4.80': 'image/jls',
  '.4.81': 'image/jls',
  '.4.90': 'image/jp2',
  '.4.91': 'image/jp2',
  '.4.92': 'image/jpx',
  '.4.93': 'image/jpx',
  '.4.100': 'video/mpeg2',
  '.4.101': 'video/mpeg2',
  '.4.102': 'video/mp4',
  '.4.103': 'video/mp4',
  '.4.104': 'video/mp4',
  '.4.105': 'video/mp4',
  '.4.106': 'video/mp4',
  '.4.107': 'video/H265',
  '.4.108': 'video/H265',
  '.4.110': 'image/jxl',
  '.4.111': 'image/jxl',
  '.4.112': 'image/jxl',
  '.4.201': 'image/jphc',
  '.4.202': 'image/jphc',
  '.4.203': 'image/jphc',
  '.5': 'image/dicom-rle',
};

/** Whether files may come in a transfer syntax over an association: one that is understood, or at least told. */
export const isKnown = (uid: string): boolean =>
  NATIVE.has(uid) || ENCAPSULATED[uid.slice(IMPLICIT_LE.length)] !== undefined;

/**
 * The transfer syntax of a UID. One that is not known is taken to be encapsulated Explicit VR Little Endian, as all
 * that were defined since 1993 are (PS3.5 §A.4).
 */
export function syntaxOf(uid: string): TransferSyntax {
  return {
    uid,
    explicit: uid !== IMPLICIT_LE,
    bigEndian: uid === EXPLICIT_BE,
    deflated: uid === DEFLATED,
    encapsulated: !NATIVE.has(uid),
    mediaType: ENCAPSULATED[uid.slice(IMPLICIT_LE.length)] ?? OCTETS,
  };
}
