/** Resources within a resource, which exist with it only (R4 references.html#contained). */
import type { Resource } from 'fhir/r4.js';

export interface Contained {
  /** which of `contained` it is */
  readonly n: number;
  readonly type: string;
  /** by which the container refers to it, after a hash; '' where it has none */
  readonly id: string;
  readonly resource: Resource;
}

/** The resources that one contains, but for those whose type is none. */
export function containedIn(
  container: Resource,
  isResourceType: (type: string) => boolean,
): readonly Contained[] {
  const { contained } = container as { readonly contained?: unknown };
  if (!Array.isArray(contained)) return [];
  return contained.flatMap((inner: Resource | null, n): Contained[] => {
    const type = inner?.resourceType;
    if (typeof type !== 'string' || !isResourceType(type)) return [];
    return [{ n, type, id: typeof inner?.id === 'string' ? inner.id : '', resource: inner as Resource }];
  });
}

/** A contained resource as its references see it: `#id` leads to the others, and `#` to the container. */
export function amongOthers({ resource }: Contained, container: Resource): Resource {
  const { contained = [] } = container as { readonly contained?: readonly unknown[] };
  return {
    ...resource,
    contained: [{ resourceType: container.resourceType, id: '' }, ...contained],
  } as Resource;
}
