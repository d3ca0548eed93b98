/** Key images: what key object selections and structured reports refer to (PS3.3 §A.35), each as a Media that shows it. */
import type { Media } from 'fhir/r4.js';
import type { Derived } from '../records/imaging/imaging.ts';
import { itemsIn, textIn, wholeIn, wordsIn } from './attributes.ts';
import type { Attributes } from './dicom/json.ts';
import type { Instance } from './instance.ts';
import { atOf } from './study.ts';

/** Key Object Selection Document, and all that are structured reports. */
const DOCUMENT = /^1\.2\.840\.10008\.5\.1\.4\.1\.1\.88\.\d+$/;
const MOST = 200;
const DEEPEST = 50;

interface Referenced {
  readonly uid: string;
  readonly frame: number | undefined;
}

/**
 * What is made of an instance: of images of its own study alone, as who sees that need not see others.
 *
 * @param base of DICOMweb, as clients write it
 */
export function mediaOf({ attributes, instance, study }: Instance, base: string): readonly Derived[] {
  if (!DOCUMENT.test(instance.class)) return [];
  const series = seriesOf(attributes, study.uid);
  const images = new Map<string, Referenced>();
  gather(attributes, 0, images);
  const title = titleOf(attributes);
  const at = atOf(
    textIn(attributes, '00080023'),
    textIn(attributes, '00080033'),
    textIn(attributes, '00080201'),
  );
  return [...images.values()].slice(0, MOST).flatMap(({ uid, frame }): readonly Derived[] => {
    const of = series.get(uid);
    if (of === undefined) return [];
    const identifier = {
      system: `${base}/key-images`,
      value: [instance.uid, uid, ...(frame === undefined ? [] : [frame])].join('/'),
    };
    const place = `${base}/studies/${study.uid}/series/${of}/instances/${uid}`;
    const url = frame === undefined ? `${place}/rendered` : `${place}/frames/${frame}/rendered`;
    const make = async ({ subject, study: reference }: Parameters<Derived['make']>[0]): Promise<Media> => ({
      resourceType: 'Media',
      identifier: [identifier, { system: 'urn:dicom:uid', value: `urn:oid:${uid}` }],
      partOf: [{ reference }],
      status: 'completed',
      type: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/media-type', code: 'image' }] },
      subject: { reference: subject },
      ...(at ? { createdDateTime: at } : {}),
      ...(title ? { reasonCode: [{ text: title }] } : {}),
      content: { contentType: 'image/jpeg', url, ...(title ? { title } : {}) },
    });
    return [{ type: 'Media', identifier, make }];
  });
}

/** Content items that refer to images, each image once. */
function gather(attributes: Attributes, depth: number, images: Map<string, Referenced>): void {
  if (textIn(attributes, '0040A040') === 'IMAGE')
    for (const reference of itemsIn(attributes, '00081199')) {
      const uid = textIn(reference, '00081155');
      const frame = wholeIn(reference, '00081160');
      if (uid) images.set(`${uid}/${frame ?? ''}`, { uid, frame });
    }
  if (depth < DEEPEST) for (const item of itemsIn(attributes, '0040A730')) gather(item, depth + 1, images);
}

/** Of which series the evidence is, as far as it is of this study (PS3.3 table C.17-2). */
function seriesOf(attributes: Attributes, study: string): ReadonlyMap<string, string> {
  const series = new Map<string, string>();
  for (const evidence of ['0040A375', '0040A385'].flatMap((tag) => itemsIn(attributes, tag))) {
    if (textIn(evidence, '0020000D') !== study) continue;
    for (const one of itemsIn(evidence, '00081115')) {
      const uid = textIn(one, '0020000E');
      for (const reference of itemsIn(one, '00081199')) {
        const instance = textIn(reference, '00081155');
        if (uid && instance && UID.test(uid) && UID.test(instance)) series.set(instance, uid);
      }
    }
  }
  return series;
}

const UID = /^[0-9.]{1,64}$/;

/** What the document is: of a key object selection why these were selected. */
function titleOf(attributes: Attributes): string | undefined {
  const [concept] = itemsIn(attributes, '0040A043');
  return (concept && wordsIn(concept, '00080104')) ?? wordsIn(attributes, '0008103E');
}
