/** Writing units: to our own records, or to a server over HTTP. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { App } from '../../app.ts';
import { error, type Issue, Refusal } from '../../fhir/outcome.ts';
import type { Caller, Entry } from '../../records/records.ts';
import { parseCondition } from '../../search/condition.ts';
import { oneLine } from '../fault.ts';
import type { Refused, Resource, Unit } from './plan.ts';

/** Writes resources in one transaction, each only if it was never written; says of each whether it was written now. */
export type Send = (resources: readonly Resource[]) => Promise<readonly boolean[]>;

/** What became of a unit. */
export interface Sent {
  readonly created: readonly Resource[];
  /** that were there already */
  readonly there: number;
  readonly refused: readonly Refused[];
  /** why it must wait: a conditional reference finds nothing yet, which others may bring */
  readonly waits?: Refusal;
}

/** Sends to the records of this process. */
export function toRecords({ records, definitions, base }: App, caller: Caller): Send {
  return async (resources) => {
    const unknown = resources.flatMap(({ type }, index) =>
      definitions.isResourceType(type)
        ? []
        : [error('not-supported', `${type} is no resource type of R4`, `Bundle.entry[${index}].resource`)],
    );
    if (unknown.length > 0) throw new Refusal(404, unknown);
    const results = await records.transaction(
      caller,
      resources.map(
        ({ type, id, fullUrl, body, ifNoneExist }): Entry =>
          ifNoneExist === undefined
            ? { method: 'PUT', type, id, fullUrl, body, ifNew: true }
            : {
                method: 'POST',
                type,
                fullUrl,
                body,
                ifNoneExist: parseCondition(definitions, type, ifNoneExist, base),
              },
      ),
    );
    return results.map((result) => result.kind === 'written' && result.resource.created);
  };
}

/**
 * Sends to a server, as transaction Bundles (R4 http.html#transaction) whose entries say `ifNoneMatch: *`, or
 * `ifNoneExist`.
 *
 * @param base  its FHIR base URL
 * @param token access token, where it needs one
 */
export function toServer(base: string, token: string | undefined): Send {
  return async (resources) => {
    const entries = resources.map(({ type, id, fullUrl, body, ifNoneExist }) => {
      const request = JSON.stringify(
        ifNoneExist === undefined
          ? { method: 'PUT', url: `${type}/${id}`, ifNoneMatch: '*' }
          : { method: 'POST', url: type, ifNoneExist },
      );
      return `{${fullUrl ? `"fullUrl":${JSON.stringify(fullUrl)},` : ''}"resource":${body},"request":${request}}`;
    });
    const response = await reach(base, {
      method: 'POST',
      headers: {
        'content-type': 'application/fhir+json',
        accept: 'application/fhir+json',
        prefer: 'return=minimal',
        ...(token ? { authorization: `Bearer ${token}` } : {}),
      },
      body: `{"resourceType":"Bundle","type":"transaction","entry":[${entries.join(',')}]}`,
    });
    const answer: Answer = await response.json().then(
      (read) => read as Answer,
      () => ({}),
    );
    if (response.status === 401 || response.status === 403)
      throw new Error(
        `${base} does not let us in (${response.status}): ${issuesOf(answer, response)[0]?.diagnostics}; give a --token that may create and update`,
      );
    const named = issuesOf(answer, response).some((issue) => !Number.isNaN(entryOf(issue)));
    if (response.status === 405 || (response.status === 404 && !named))
      throw new Error(`${base} takes no transactions (${response.status}): --url must be a FHIR base URL`);
    if (!response.ok)
      throw new Refusal(response.status, issuesOf(answer, response), {
        'Retry-After': response.headers.get('retry-after') ?? '',
      });
    return resources.map((_, index) => String(answer.entry?.[index]?.response?.status).startsWith('201'));
  };
}

/** @throws Error that says what fetch keeps to itself */
async function reach(base: string, request: RequestInit): Promise<Response> {
  try {
    return await fetch(base, request);
  } catch (fault) {
    const { cause = fault } = fault as Error;
    const { code } = cause as NodeJS.ErrnoException;
    if (mayPass(cause)) throw cause;
    if (code === 'ECONNREFUSED') throw new Error(`${base} does not answer: is the server running there?`);
    throw new Error(`${base} cannot be reached: ${oneLine(cause)}`);
  }
}

/** What a server may answer: the outcome of a transaction, or an OperationOutcome. */
interface Answer {
  readonly entry?: readonly { readonly response?: { readonly status?: string } }[];
  readonly issue?: readonly (Omit<Issue, 'expression'> & {
    readonly details?: { readonly text?: string };
    readonly expression?: readonly string[];
  })[];
}

function issuesOf(answer: Answer, response: Response): Issue[] {
  const issues = (Array.isArray(answer.issue) ? answer.issue : []).map(
    ({ severity, code, diagnostics, details, expression }) => ({
      severity,
      code,
      diagnostics: diagnostics ?? details?.text ?? code,
      expression: expression?.[0],
    }),
  );
  if (issues.length > 0) return issues;
  return [
    { severity: 'error', code: 'processing', diagnostics: `${response.status} ${response.statusText}` },
  ];
}

/**
 * Sends a unit. Of single resources, those that are refused are left out and the others sent again; a whole unit
 * is refused by any of its resources.
 *
 * @throws Error where nothing can be sent any more
 */
export async function sendUnit(unit: Unit, send: Send): Promise<Sent> {
  if (unit.resources.length === 0) return { created: [], there: 0, refused: [] };
  try {
    const written = await patiently(() => send(unit.resources));
    const created = unit.resources.filter((_, index) => written[index]);
    return { created, there: unit.resources.length - created.length, refused: [] };
  } catch (fault) {
    if (!(fault instanceof Refusal)) throw fault;
    if (unit.whole && findsNothing(fault)) return { created: [], there: 0, refused: [], waits: fault };
    return unit.whole ? wholly(unit.resources, fault) : apart(unit.resources, fault, send);
  }
}

/** Whether it was refused because a conditional reference finds nothing. */
const findsNothing = ({ status, issues }: Refusal): boolean =>
  status === 412 && issues.some(({ code }) => code === 'not-found');

/** Which entry an issue is about. */
const entryOf = ({ expression }: Issue): number =>
  Number(/^Bundle\.entry\[(\d+)\]/.exec(expression ?? '')?.[1]);

/** One line for each resource at fault; the first stands for all others that are refused with them. */
export function wholly(resources: readonly Resource[], fault: Refusal): Sent {
  const byEntry = Map.groupBy(fault.issues, entryOf);
  const refused = [...byEntry].map(([index, issues], nth) => {
    const { origin, type, body } = resources[index] ?? {};
    return {
      origin: origin ?? { ...(resources[0] as Resource).origin, entry: undefined },
      type,
      text: body,
      fault: new Refusal(fault.status, issues),
      count: nth === 0 ? resources.length - byEntry.size + 1 : 1,
    };
  });
  return { created: [], there: 0, refused };
}

async function apart(resources: readonly Resource[], fault: Refusal, send: Send): Promise<Sent> {
  const [only] = resources;
  const byEntry = Map.groupBy(fault.issues, entryOf);
  const named = resources.filter((_, index) => byEntry.has(index));
  // Where no entry is named, halves find it: the fault may be of the whole, as its size is.
  const parts =
    named.length > 0
      ? [resources.filter((_, index) => !byEntry.has(index))]
      : [resources.slice(0, resources.length / 2), resources.slice(resources.length / 2)];
  const refused: Refused[] =
    resources.length === 1 && only
      ? [refusedAlone(only, fault.issues, fault)]
      : named.map((resource) =>
          refusedAlone(resource, byEntry.get(resources.indexOf(resource)) as Issue[], fault),
        );
  if (resources.length === 1) return { created: [], there: 0, refused };
  const rest = [];
  for (const part of parts) rest.push(await sendUnit({ resources: part, whole: false }, send));
  return {
    created: rest.flatMap(({ created }) => created),
    there: rest.reduce((sum, { there }) => sum + there, 0),
    refused: [...refused, ...rest.flatMap((sent) => sent.refused)],
  };
}

/** The transaction around a single resource is ours: its place in it says nothing to anybody. */
function refusedAlone(
  { origin, type, body }: Resource,
  issues: readonly Issue[],
  { status }: Refusal,
): Refused {
  const own = issues.map((issue) => ({
    ...issue,
    expression: issue.expression?.replace(/^Bundle\.entry\[\d+\](\.resource)?/, type),
  }));
  return { origin, type, text: body, fault: new Refusal(status, own), count: 1 };
}

/** How often, and how long in ms, a server or database that is busy or restarting is waited for. */
const PAUSES = [100, 300, 1000, 2000, 4000, 8000, 15_000];

/** Tries again what may pass: writing the same once more does no harm. */
async function patiently<T>(attempt: () => Promise<T>): Promise<T> {
  for (const pause of PAUSES)
    try {
      return await attempt();
    } catch (fault) {
      if (!mayPass(fault)) throw fault;
      const asked = fault instanceof Refusal ? Number(fault.headers['Retry-After']) * 1000 : 0;
      await sleep(Math.min(asked || pause, 30_000));
    }
  return attempt();
}

/** Busy servers, connections that broke, a PostgreSQL that shuts down or starts, deadlocks (its Appendix A). */
function mayPass(fault: unknown): boolean {
  if (fault instanceof Refusal) return fault.status === 429 || fault.status === 503;
  const { code = '', message = '' } = fault as { code?: string; message?: string };
  return (
    /^(ECONNRESET|EPIPE|UND_ERR_SOCKET|57P0[1-3]|08...|40001|40P01)$/.test(code) ||
    /^Connection terminated/.test(message)
  );
}
