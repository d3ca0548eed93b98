/** What a search looks for, type by type, and what it finds. */
import type { Facts } from '../search/match.ts';
import type { Filter, SearchRequest, SortKey } from '../search/request.ts';
import type { Inner } from '../store/index/row.ts';
import type { Match } from '../store/search/search.ts';
import type { Ends } from './contained.ts';
import type { Place } from './position.ts';

/** A match with its place in the order. */
export interface Found extends Match {
  readonly type: string;
  readonly place: Place;
  /** whether it is found by what it contains */
  readonly within?: boolean;
  /** what of it is shown, where that is a contained resource */
  readonly inner?: Pick<Inner, 'n' | 'type' | 'id'>;
}

/** What is looked for among one type. */
export interface Part {
  readonly type: string;
  /** what the index answers */
  readonly filters: readonly Filter[];
  /** what is judged on the values of what it finds */
  readonly judged: readonly Filter[];
  readonly sort: readonly SortKey[];
  /** where it is looked for among contained resources: the others tell nothing of it then */
  readonly within?: PartWithin;
}

export interface PartWithin {
  /** types of what contains it */
  readonly containers: readonly string[];
  /** what the caller may find of these */
  readonly limits: (type: string) => readonly Filter[];
  /** all that is judged */
  readonly filters: readonly Filter[];
  readonly ends: Ends;
  readonly shown: 'container' | 'contained';
  /** the part of what is not contained, where that is looked for too */
  readonly beside?: Part;
}

/** Which matches are wanted, and whether their number is. */
export interface Wanted {
  /** so many, from the place on */
  readonly most: number;
  readonly place: Place | undefined;
  /** those before the place, the nearest first */
  readonly back: boolean;
  readonly total: SearchRequest['total'];
}

export interface Taken {
  readonly rows: readonly Found[];
  /** of all matches, where it is wanted */
  readonly total?: number;
}

/** Where a match stands in the order. */
export type At = Pick<Found, 'at' | 'place'>;

/** An order of contained resources. */
export interface Order {
  readonly compare: (one: At, other: At) => number;
  /** @param number of the contained resource */
  readonly at: (facts: Facts, container: Match, number: number) => At;
}
