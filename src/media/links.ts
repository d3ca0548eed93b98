/**
 * Links to one thing each, for what sends no access token (`<img>`, `<video>`): good for ten minutes, and only as long as
 * the access token that they came from. They carry all that they say, so that no process remembers them.
 */
import { createHmac } from 'node:crypto';
import { error, Refusal, refusal } from '../fhir/outcome.ts';
import { makeBox } from '../http/sealed.ts';
import type { Caller, Records } from '../records/records.ts';

/** How long a link is good for, in ms. */
export const LIFETIME = 600_000;

/** What a link leads to, in the words of whoever made it: a sort of thing, then what names it. */
export type Thing = readonly string[];

export interface Link {
  readonly url: string;
  /** FHIR instant */
  readonly expires: string;
}

export interface Links {
  /** @param place under which it is followed, unless that is the FHIR base */
  make(caller: Caller, thing: Thing, place?: string): Link;
  /**
   * @returns who may have what, with the rights that the access token has now
   * @throws  Refusal 404 for what is no link; 410 where it has expired, or its access token has
   */
  follow(text: string): Promise<{ readonly caller: Caller; readonly thing: Thing }>;
}

/**
 * @param key  of this database, from which one for these links is made
 * @param base the FHIR base
 */
export function makeLinks(
  key: Buffer,
  base: string,
  records: Pick<Records, 'callerOf'>,
  now: () => number = Date.now,
): Links {
  const box = makeBox<readonly [agent: number, expires: number, thing: Thing]>(
    createHmac('sha256', key).update('links to one thing').digest(),
  );
  return {
    make({ agent }, thing, place = base) {
      const expires = now() + LIFETIME;
      return {
        url: `${place}/_link/${box.close([agent, expires, thing])}`,
        expires: new Date(expires).toISOString(),
      };
    },
    async follow(text) {
      const [agent, expires, thing] = box.open(text) ?? [];
      if (agent === undefined || expires === undefined || thing === undefined)
        throw refusal(404, 'not-found', 'This link is damaged, or none of this server: ask for a new one');
      const caller = expires < now() ? undefined : await records.callerOf(agent);
      if (caller) return { caller, thing };
      throw new Refusal(410, [
        error('expired', 'This link has expired, or the access token it came from: ask for a new one'),
      ]);
    },
  };
}
