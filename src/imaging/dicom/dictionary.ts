/** The data dictionary (PS3.6 §6), as dcmjs has it: VRs for implicit datasets, and keywords. */
import dcmjs from 'dcmjs';
import { groupOf, tagText } from './element.ts';

export interface Dictionary {
  /** VR of a tag; of what may have several `xs` (US or SS), `ox` (OB or OW), `lt` (US, SS or OW); undefined: not known */
  vrOf(tag: number): string | undefined;
  /** 8 hexadecimal digits of a keyword or tag, as `PatientName` and `00100010` */
  tagNamed(name: string): string | undefined;
  /** keyword of 8 hexadecimal digits */
  keywordOf(tag: string): string | undefined;
}

interface Entry {
  readonly vr: string;
  readonly name: string;
}

/** Opens it. The library is told to be silent first, as it would print values of private elements. */
export function openDictionary(): Dictionary {
  dcmjs.log.setLevel('silent');
  const byTag = new Map<string, Entry>();
  const byName = new Map<string, string>();
  for (const entry of Object.values(dcmjs.data.DicomMetaDictionary.nameMap)) {
    const tag = entry?.tag?.replaceAll(/[(),]/g, '').toUpperCase();
    if (!entry || !tag) continue;
    const name = entry.name.replace(/^RETIRED_/, '');
    byTag.set(tag, { vr: entry.vr, name });
    byName.set(name, tag);
  }
  return {
    vrOf(tag) {
      const group = groupOf(tag);
      const low = tag & 0xffff;
      // PS3.5 §7.8.1: private creators; what they reserve has a VR of its own, known to its maker
      if (group % 2 === 1) return low >= 0x10 && low <= 0xff ? 'LO' : undefined;
      if (low === 0) return 'UL';
      // repeating groups of curves and overlays (PS3.5 §7.6)
      const repeats = group >>> 8 === 0x60 || group >>> 8 === 0x50;
      return byTag.get(tagText(repeats ? (tag & 0xff00ffff) >>> 0 : tag))?.vr;
    },
    tagNamed: (name) => (/^[0-9A-F]{8}$/i.test(name) ? name.toUpperCase() : byName.get(name)),
    keywordOf: (tag) => byTag.get(tag)?.name,
  };
}
