/** Steps as HTTP requests and as entries of Bundles, and their answers as what is recorded. */
import type { Bundle, BundleEntry, Patient, Resource } from 'fhir/r4.js';
import { fieldOf, type Answer as HttpAnswer } from '../../bench/wire.ts';
import type { Answer, Content, Operation, Step } from './history.ts';

/** A step, and how it is worded. */
export interface Asked {
  readonly step: Step;
  /** what a condition says beside the identifier; all that is written meets it */
  readonly beside?: 'active=true';
  readonly patch?: 'JSON' | 'FHIRPath';
  /** a read of what is not at this version */
  readonly unlessAt?: number;
}

const SYSTEM = 'urn:concurrency';

interface Message {
  readonly method: string;
  /** below the base */
  readonly url: string;
  readonly body?: Resource | readonly object[];
  readonly ifNoneExist?: string;
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
}

const METHODS = {
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
  read: 'GET',
  vread: 'GET',
};

function messageOf({ step, beside, patch, unlessAt }: Asked): Message {
  const { action, resource, condition, ifMatch, ifNew, version } = step;
  const query = condition && [queryOf(condition), beside].filter(Boolean).join('&');
  const target = resource ?? (query && action !== 'create' ? `Patient?${query}` : 'Patient');
  return {
    method: METHODS[action],
    url: action === 'vread' ? `${target}/_history/${version}` : target,
    body: action === 'patch' ? patchOf(step, patch) : step.mark ? patientOf(step) : undefined,
    ifNoneExist: action === 'create' ? query : undefined,
    ifMatch: ifMatch === undefined ? undefined : `W/"${ifMatch}"`,
    ifNoneMatch: ifNew ? '*' : unlessAt === undefined ? undefined : `W/"${unlessAt}"`,
  };
}

const queryOf = (identifier: string): string => `identifier=${SYSTEM}|${identifier}`;

function patientOf({ resource, mark, identifier, refers }: Step): Patient {
  return {
    resourceType: 'Patient',
    id: resource?.split('/')[1],
    identifier: identifier === undefined ? undefined : [{ system: SYSTEM, value: identifier }],
    active: true,
    name: [{ text: mark }],
    link:
      refers === undefined
        ? undefined
        : [{ other: { reference: `Patient?${queryOf(refers)}` }, type: 'seealso' }],
  };
}

/** A patch that adds its mark to those that are there. */
function patchOf({ mark }: Step, patch: Asked['patch']): Resource | readonly object[] {
  if (patch === 'JSON') return [{ op: 'add', path: '/name/-', value: { text: mark } }];
  const part = [
    { name: 'type', valueCode: 'add' },
    { name: 'path', valueString: 'Patient' },
    { name: 'name', valueString: 'name' },
    { name: 'value', valueHumanName: { text: mark } },
  ];
  return { resourceType: 'Parameters', parameter: [{ name: 'operation', part }] } as Resource;
}

/** The bytes of an operation's request. */
export function wordOperation(kind: Operation['kind'], asked: readonly Asked[], token: string): Buffer {
  if (kind !== 'single')
    return bytesOf({ method: 'POST', url: '', body: bundleOf(kind, asked) }, token, [
      ...(Math.random() < 0.5 ? ['Prefer: return=representation'] : []),
    ]);
  return bytesOf(messageOf(asked[0]!), token);
}

function bundleOf(type: 'batch' | 'transaction', asked: readonly Asked[]): Bundle {
  return { resourceType: 'Bundle', type, entry: asked.map(entryOf) };
}

function entryOf(asked: Asked): BundleEntry {
  const { body, ...request } = messageOf(asked);
  const resource = Array.isArray(body)
    ? {
        resourceType: 'Binary' as const,
        contentType: 'application/json-patch+json',
        data: Buffer.from(JSON.stringify(body)).toString('base64'),
      }
    : (body as Resource | undefined);
  return { resource: resource as BundleEntry['resource'], request: request as BundleEntry['request'] };
}

function bytesOf(message: Message, token: string, more: readonly string[] = []): Buffer {
  const { method, url, body, ifNoneExist, ifMatch, ifNoneMatch } = message;
  const text = body === undefined ? '' : JSON.stringify(body);
  const type = Array.isArray(body) ? 'application/json-patch+json' : 'application/fhir+json';
  const lines = [
    `${method} /fhir/${url.replaceAll('|', '%7C')} HTTP/1.1`,
    'Host: 127.0.0.1',
    `Authorization: Bearer ${token}`,
    ifNoneExist === undefined ? '' : `If-None-Exist: ${ifNoneExist}`,
    ifMatch === undefined ? '' : `If-Match: ${ifMatch}`,
    ifNoneMatch === undefined ? '' : `If-None-Match: ${ifNoneMatch}`,
    body === undefined ? '' : `Content-Type: ${type}`,
    body === undefined ? '' : `Content-Length: ${Buffer.byteLength(text)}`,
    ...more,
  ];
  return Buffer.from(`${lines.filter(Boolean).join('\r\n')}\r\n\r\n${text}`);
}

/** Records what was answered. */
export function readAnswers(operation: Operation, answer: HttpAnswer): void {
  operation.status = answer.status;
  const { kind, steps } = operation;
  const body = bodyOf(answer);
  if (kind === 'single') {
    const [step] = steps as [Step];
    const place = fieldOf(answer, 'location');
    step.answer = answerOf(step, answer.status, place, fieldOf(answer, 'etag'), body);
  } else if (body?.resourceType === 'Bundle')
    for (const [i, { response, resource }] of ((body as Bundle).entry ?? []).entries()) {
      const step = steps[i];
      if (step)
        step.answer = answerOf(
          step,
          Number.parseInt(response?.status ?? '', 10),
          response?.location,
          response?.etag,
          resource,
        );
    }
}

function bodyOf({ body }: HttpAnswer): Resource | undefined {
  return body.length === 0 ? undefined : (JSON.parse(body.toString()) as Resource);
}

function answerOf(
  step: Step,
  status: number,
  location: string | undefined,
  etag: string | undefined,
  body: Resource | undefined,
): Answer {
  const patient = body?.resourceType === 'Patient' ? (body as Patient) : undefined;
  const place = /(Patient\/[^/]+)\/_history\//.exec(location ?? '')?.[1];
  const tag = /"(\d+)"/.exec(etag ?? '')?.[1] ?? patient?.meta?.versionId;
  return {
    status,
    resource: place ?? step.resource ?? (patient && `Patient/${patient.id}`),
    version: tag === undefined ? undefined : Number(tag),
    content: patient && contentOf(patient),
  };
}

export function contentOf({ name = [], identifier, link }: Patient): Content {
  return {
    marks: name.map(({ text = '' }) => text),
    identifier: identifier?.[0]?.value,
    link: link?.[0]?.other.reference,
  };
}
