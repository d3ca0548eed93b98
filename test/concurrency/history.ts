/** What is recorded of a run of clients, and what the server tells of it at the end. */

/** All of a resource's content that is judged. */
export interface Content {
  /** of the write that replaced the content, and of the patches since, each of which adds its own */
  readonly marks: readonly string[];
  /** what conditions find it by */
  readonly identifier?: string;
  /** the resource that a conditional reference became */
  readonly link?: string;
}

export type Action = 'create' | 'update' | 'patch' | 'delete' | 'read' | 'vread';

/** One thing asked, alone or as an entry of a Bundle. */
export interface Step {
  readonly action: Action;
  /** `Type/id`, where the client names it */
  readonly resource?: string;
  /** the identifier that its condition asks for: If-None-Exist, or the query of a conditional interaction */
  readonly condition?: string;
  /** the identifier that a conditional reference in its content asks for */
  readonly refers?: string;
  readonly ifMatch?: number;
  /** If-None-Match: * */
  readonly ifNew?: boolean;
  /** of a vread */
  readonly version?: number;
  /** of what it writes; nobody else writes the same */
  readonly mark?: string;
  readonly identifier?: string;
  answer?: Answer;
}

export interface Answer {
  readonly status: number;
  readonly resource?: string;
  readonly version?: number;
  readonly content?: Content;
}

/** A request: one step, or a Bundle of several. */
export interface Operation {
  readonly kind: 'single' | 'batch' | 'transaction';
  readonly client: number;
  /** which process it was sent to */
  readonly server: number;
  /** ms on the one clock of all clients */
  readonly invoked: number;
  /** Infinity while there is no answer: it may have been carried out, or may yet be */
  returned: number;
  /** of the answer to the whole */
  status?: number;
  readonly steps: readonly Step[];
}

/** A version as the server's own history has it. */
export interface Version {
  readonly version: number;
  /** undefined: a deletion */
  readonly content?: Content;
  /** its lastUpdated, in ms on the clients' clock */
  readonly updated: number;
}

export interface History {
  readonly operations: readonly Operation[];
  /** by `Type/id`, in the order of their versions */
  readonly resources: ReadonlyMap<string, readonly Version[]>;
}

export type Outcome = 'done' | 'refused' | 'unknown';

/** What the client knows of a step. An answer 5xx tells that something failed, not what was done. */
export function outcomeOf({ kind, status }: Operation, step: Step): Outcome {
  const own = kind === 'batch' && status === 200 ? step.answer?.status : status;
  if (own === undefined || own >= 500) return 'unknown';
  return own < 400 ? 'done' : 'refused';
}

export const isRead = ({ action }: Step): boolean => action === 'read' || action === 'vread';

/**
 * Whether a step that was done has made a version: a deletion of nothing makes none, nor does what a condition keeps
 * from writing.
 */
export function hasEffect({ action, condition, answer }: Step): boolean {
  if (action === 'delete') return answer?.version !== undefined;
  if (action === 'create' && condition) return answer?.status === 201;
  return answer?.status === 200 || answer?.status === 201;
}

export function sameContent(a: Content, b: Content): boolean {
  return a.identifier === b.identifier && a.link === b.link && a.marks.join() === b.marks.join();
}

/** An operation in one line, as a fault shows it. */
export function shown({ kind, client, server, invoked, returned, status, steps }: Operation): string {
  const whole = kind === 'single' ? '' : `${kind} ${status ?? 'unanswered'} `;
  const until = returned === Infinity ? '…' : returned.toFixed(2);
  const list = steps.map(shownStep).join('; ');
  return `[${invoked.toFixed(2)}–${until}] client ${client}, server ${server}: ${whole}${list}`;
}

function shownStep(step: Step): string {
  const { action, resource, condition, refers, ifMatch, ifNew, version, mark, identifier, answer } = step;
  const parts: string[] = [action];
  if (resource) parts.push(version === undefined ? resource : `${resource}/_history/${version}`);
  if (condition) parts.push(`?${condition}`);
  if (ifMatch !== undefined) parts.push(`if at ${ifMatch}`);
  if (ifNew) parts.push('if new');
  if (mark) parts.push(`"${mark}"`);
  if (identifier) parts.push(`as ${identifier}`);
  if (refers) parts.push(`to ?${refers}`);
  if (!answer) return parts.join(' ');
  const what = answer.resource && answer.resource !== resource ? ` ${answer.resource}` : '';
  const at = answer.version === undefined ? '' : ` @${answer.version}`;
  const content = answer.content && action === 'read' ? ` "${answer.content.marks.join('+')}"` : '';
  return `${parts.join(' ')} → ${answer.status}${what}${at}${content}`;
}
