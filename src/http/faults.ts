/** What went wrong, as an answer: the one place where exceptions become a status and an OperationOutcome. */
import { error, type Issue, type IssueType, operationOutcome, Refusal } from '../fhir/outcome.ts';
import { answerJson } from './answer.ts';
import { CHALLENGE } from './door.ts';
import type { Headers, Reply } from './exchange.ts';
import { PLAIN } from './negotiation.ts';

export interface Fault {
  readonly status: number;
  readonly issues: readonly Issue[];
  readonly headers: Readonly<Record<string, string>>;
  /** true where it is this server's, and its log must tell what it was */
  readonly own: boolean;
}

/** Seconds after which a client should ask again. */
const RETRY = { 'Retry-After': '2' };

/**
 * The answer to an exception. What is no Refusal tells nothing but where to look.
 *
 * @param id of the request, under which the log holds the fault
 */
export function faultOf(thrown: unknown, id: string): Fault {
  if (thrown instanceof Refusal) {
    const { status, issues, headers } = thrown;
    // RFC 9110 §11.6.1: a 401 says how to be let in
    const all = status === 401 ? { 'WWW-Authenticate': CHALLENGE, ...headers } : headers;
    return { status, issues, headers: all, own: status >= 500 };
  }
  const code = codeOf(thrown);
  if (code === '57014') {
    const issue = error(
      'timeout',
      'This took too long and was stopped: narrow a search by a patient, a code or dates, leave _total and _sort out, or ask again later',
    );
    return { status: 503, issues: [issue], headers: RETRY, own: true };
  }
  // one of several that waited for each other, or read what another has changed meanwhile
  if (code === '40P01' || code === '40001') {
    const issue = error('conflict', 'Others changed the same at the same time, and went first: try again');
    return { status: 409, issues: [issue], headers: RETRY, own: true };
  }
  if (isPassing(code, thrown)) {
    const issue = error('transient', 'The database cannot be reached, or is too busy: try again shortly');
    return { status: 503, issues: [issue], headers: RETRY, own: true };
  }
  // characters that PostgreSQL cannot hold, such as U+0000
  if (code === '22021' || code === '22P05') {
    const issue = error('value', 'The request holds a character that cannot be stored, such as U+0000');
    return { status: 400, issues: [issue], headers: {}, own: false };
  }
  const refused = CANNOT_TAKE.find(([codes]) => codes.test(code));
  if (refused) {
    const [, type, diagnostics] = refused;
    return { status: 400, issues: [error(type, diagnostics)], headers: {}, own: true };
  }
  const issue = error(
    'exception',
    `Something went wrong on the server: tell its operator the reference ${id}`,
  );
  return { status: 500, issues: [issue], headers: {}, own: true };
}

/**
 * A net under what is checked before: what PostgreSQL cannot take of a request (its Appendix A, classes 22 and 54). The
 * log tells of it, as a check is missing.
 */
const CANNOT_TAKE: readonly (readonly [codes: RegExp, type: IssueType, diagnostics: string])[] = [
  [/^22007$|^22008$/, 'value', 'The request holds a date or time outside of what can be stored'],
  [/^22003$/, 'value', 'The request holds a number outside of what can be stored'],
  [
    /^54...$/,
    'too-costly',
    'The request is more than the database takes at once: shorten its lists and texts, or split it',
  ],
];

/** Answers an exception, where an answer is still possible. */
export async function answerFault(reply: Reply, fault: Fault): Promise<void> {
  if (reply.response.headersSent) {
    // the client must not take half an answer for a whole one
    reply.response.destroy();
    return;
  }
  const headers: Headers = Object.entries(fault.headers).flat();
  const format = { ...reply.format, contentType: PLAIN.contentType };
  await answerJson(
    { ...reply, format },
    fault.status,
    headers,
    JSON.stringify(operationOutcome(fault.issues)),
  );
}

/** What the log may hold of an exception: messages of PostgreSQL and of JSON.parse quote what users have sent. */
export function tracesOf(thrown: unknown): Record<string, unknown> {
  if (!(thrown instanceof Error)) return { name: typeof thrown };
  const code = codeOf(thrown);
  const quotes = thrown instanceof SyntaxError || 'severity' in thrown;
  const frames = thrown.stack?.split('\n').filter((line) => line.startsWith('    at '));
  return {
    name: thrown.name,
    code,
    message: quotes ? undefined : thrown.message,
    at: frames?.map((frame) => frame.trim().slice(3)),
  };
}

function codeOf(thrown: unknown): string {
  const code = (thrown as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : '';
}

const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/**
 * Whether it may pass by itself. PostgreSQL's classes (its Appendix A): 08 connection, 40 rolled back,
 * 53 out of resources, 57 operator's intervention, shutting down or starting up, 3D000 not restored yet, 55P03 lock not
 * available.
 */
function isPassing(code: string, thrown: unknown): boolean {
  if (/^(?:08|40|53|57)...$|^3D000$|^55P03$|^25P03$/.test(code)) return true;
  const message = thrown instanceof Error ? thrown.message : '';
  // pg and pg-pool give these no code
  if (
    /^timeout exceeded when trying to connect|^Connection terminated|^Client has encountered a connection/.test(
      message,
    )
  )
    return true;
  return NETWORK.has(code) && (thrown as NodeJS.ErrnoException).syscall !== 'open';
}
