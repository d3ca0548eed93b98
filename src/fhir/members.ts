/** The members that the objects of a type have in JSON (R4 json.html): choices by their types, quantities as such. */
import type { Definitions, ElementDefinition } from './definitions.ts';

export interface Member {
  /** `valueQuantity` */
  readonly name: string;
  /** Of the element in FHIRPath: `value` */
  readonly segment: string;
  readonly element: ElementDefinition;
  /** A primitive has a companion with `_` before its name, for its id and extensions (R4 json.html#primitive) */
  readonly holds: 'a primitive' | 'elements' | 'a resource';
  /** Its type; of one with elements of its own, the path whose elements these are */
  readonly type: string;
}

/**
 * Lists the members, without the companions of primitives and without `resourceType`.
 *
 * @param type resource type, data type, or path of a backbone element; others have none
 */
export function membersOf(definitions: Definitions, type: string): Member[] {
  return [...definitions.elements(type)].flatMap(([written, element]) => {
    const segment = written.replace('[x]', '');
    const types = element.types.length > 0 ? element.types : ['Element'];
    return types.map((each): Member => {
      const isQuantity = each === 'SimpleQuantity' || each === 'MoneyQuantity';
      const plain = isQuantity ? 'Quantity' : each;
      const name = written === segment ? segment : segment + plain[0]!.toUpperCase() + plain.slice(1);
      const member = { name, segment, element };
      if (plain === 'Resource' || definitions.isResourceType(plain))
        return { ...member, holds: 'a resource', type: plain };
      if (!/^[A-Z]/.test(plain)) return { ...member, holds: 'a primitive', type: plain };
      const isOwn = plain === 'BackboneElement' || plain === 'Element';
      return {
        ...member,
        holds: 'elements',
        type: element.contentReference ?? (isOwn ? element.path : plain),
      };
    });
  });
}
