/** A request of a workload, and how a right answer to it looks. */
import type { Size } from './dataset.ts';
import { type Answer, fieldOf } from './wire.ts';

/** A request, and what is wrong with its answer. */
export interface Exchange {
  readonly bytes: Buffer;
  readonly fault: (answer: Answer) => string | undefined;
  /** how many resources it is about, by which rates are counted; 1 where nothing is said */
  readonly resources?: number;
}

/**
 * Makes the requests of one client.
 *
 * @param client  its number; clients never write to the same resource at the same time
 * @param clients how many there are
 */
export type Workload = (client: number, clients: number) => () => Exchange;

/** Makes a workload, once for a driver: with what it needs ready, so that a request costs it little. */
export type Maker = (size: Size, token: string) => Workload;

export const whole = (below: number): number => Math.floor(Math.random() * below);

/** What is wrong with an answer that must have a status, and a text within its body. */
export const wrong = (answer: Answer, status: number, text = ''): string | undefined =>
  answer.status === status && answer.body.includes(text)
    ? undefined
    : `${status} with ${text} was expected, not ${answer.status}: ${answer.body.subarray(0, 300)}`;

export function occurrences(body: Buffer, text: string): number {
  let count = 0;
  for (let at = body.indexOf(text); at >= 0; at = body.indexOf(text, at + text.length)) count++;
  return count;
}

/** The id that a create was given, by its Location. */
export const createdId = (answer: Answer): string | undefined =>
  /\/([0-9a-f-]{36})(\/|$)/.exec(fieldOf(answer, 'location') ?? '')?.[1];
