/** An entry of the audit trail as an AuditEvent (R4 auditevent.html), by IHE Basic Audit Log Patterns 1.1.4. */
import type { AuditEvent, AuditEventAgent, AuditEventEntity, Coding } from 'fhir/r4.js';
import type { AuditLog } from '../store/audit/log.ts';
import type { Entry } from '../store/audit/trail.ts';
import { instantOf } from '../store/pool.ts';

const TERMINOLOGY = 'http://terminology.hl7.org/CodeSystem/';
const BALP = 'https://profiles.ihe.net/ITI/BALP/';
const rest = (code: string): Coding => ({ system: 'http://hl7.org/fhir/restful-interaction', code });
const dicom = (code: string, display: string): Coding => ({
  system: 'http://dicom.nema.org/resources/ontology/DCM',
  code,
  display,
});
const terminology = (system: string, code: string, display?: string): Coding => ({
  system: TERMINOLOGY + system,
  code,
  ...(display ? { display } : {}),
});

const RESTFUL = terminology('audit-event-type', 'rest', 'RESTful Operation');
const AUTHENTICATION = dicom('110114', 'User Authentication');
const SOURCE = dicom('110153', 'Source Role ID');
const DESTINATION = dicom('110152', 'Destination Role ID');
const CUSTODIAN = terminology('provenance-participant-type', 'custodian', 'Custodian');
const OBJECT = terminology('audit-entity-type', '2', 'System Object');

/** How an action is told. */
interface Told {
  readonly type: Coding;
  readonly subtype: Coding;
  readonly action: NonNullable<AuditEvent['action']>;
  /** IHE.BasicAudit.…, of those that BALP has a profile for; of patients with Patient before it */
  readonly profile?: string;
}

const told = (subtype: string, action: Told['action'], profile?: string): Told => ({
  type: RESTFUL,
  subtype: rest(subtype),
  action,
  ...(profile ? { profile } : {}),
});

const OPERATION = told('operation', 'E');
const ACTIONS: Readonly<Record<string, Told>> = {
  r: told('read', 'R', 'Read'),
  v: told('vread', 'R', 'Read'),
  s: told('search', 'E', 'Query'),
  h: told('history', 'R'),
  e: OPERATION,
  d: OPERATION,
  g: { ...OPERATION, subtype: terminology('v3-ActReason', 'BTG', 'break the glass') },
  i: { type: AUTHENTICATION, subtype: dicom('110122', 'Login'), action: 'E' },
  o: { type: AUTHENTICATION, subtype: dicom('110123', 'Logout'), action: 'E' },
  t: {
    type: AUTHENTICATION,
    subtype: { system: 'urn:ihe:event-type-code', code: 'ITI-71', display: 'Get Access Token' },
    action: 'E',
  },
  n: {
    type: AUTHENTICATION,
    subtype: { system: 'urn:ihe:event-type-code', code: 'ITI-72', display: 'Incorporate Access Token' },
    action: 'E',
  },
  x: { type: dicom('110106', 'Export'), subtype: rest('operation'), action: 'R' },
  k: told('read', 'R'),
  C: told('create', 'C'),
  U: told('update', 'U'),
  P: told('patch', 'U'),
  D: told('delete', 'D'),
  M: OPERATION,
  T: told('transaction', 'E'),
  O: OPERATION,
};
const WRITES: Readonly<Record<string, Told>> = {
  c: told('create', 'C', 'Create'),
  u: told('update', 'U', 'Update'),
  d: told('delete', 'D', 'Delete'),
};

const isWrite = ({ id }: Entry): boolean => id.startsWith('w');

/** @param baseUrl of this server */
export function auditEventOf(baseUrl: string, log: Pick<AuditLog, 'open'>, entry: Entry): AuditEvent {
  const { action, patients, purpose, status, found, query } = entry;
  const how = (isWrite(entry) ? WRITES : ACTIONS)[action] ?? OPERATION;
  const isSignIn = action === 'i' && !isWrite(entry);
  const entities = isSignIn ? [] : entitiesOf(log, entry);
  const agents = isSignIn ? signingIn(baseUrl, log, entry) : agentsOf(baseUrl, entry, how);
  // What BALP asks for, and was not known, makes it no instance of the profile.
  const isWhole = agents[0]?.network !== undefined && (query !== null || entry.resource !== null);
  const profile =
    status < 400 && how.profile && isWhole
      ? `${patients.length > 0 ? 'Patient' : ''}${how.profile}`
      : undefined;
  const shown = query === null || isWrite(entry) ? {} : { outcomeDesc: `${found} shown` };
  return {
    resourceType: 'AuditEvent',
    id: entry.id,
    ...(profile ? { meta: { profile: [`${BALP}StructureDefinition/IHE.BasicAudit.${profile}`] } } : {}),
    type: how.type,
    subtype: [how.subtype],
    action: how.action,
    recorded: instantOf(entry.at),
    outcome: status < 400 ? '0' : '4',
    ...(status < 400
      ? shown
      : { outcomeDesc: KNOCKS.has(action) && found > 0 ? `${status}, ${found} times` : String(status) }),
    ...(purpose === null ? {} : { purposeOfEvent: [{ coding: [terminology('v3-ActReason', purpose)] }] }),
    agent: agents,
    source: {
      observer: { display: baseUrl },
      type: [terminology('security-source-type', '4', 'Application Server')],
    },
    ...(entities.length > 0 ? { entity: entities } : {}),
  };
}

/** Noted once for as often as an address has tried within a minute (src/http/strangers.ts). */
const KNOCKS: ReadonlySet<string> = new Set(['i', 'n']);

/** Of reads the client is the destination, of all else the source, as DICOM and BALP have it. */
function agentsOf(baseUrl: string, entry: Entry, { subtype, action }: Told): AuditEventAgent[] {
  const { client, fhirUser, origin, agent } = entry;
  const [, address] = origin?.split(' ') ?? [];
  const isRead = subtype.code !== undefined && ['read', 'vread', 'history'].includes(subtype.code);
  const isDelete = action === 'D';
  const name = client ?? (agent === 0 ? 'command line' : undefined);
  const agents: AuditEventAgent[] = [
    {
      type: { coding: [isDelete ? dicom('110150', 'Application') : isRead ? DESTINATION : SOURCE] },
      who:
        name === undefined
          ? { display: address ?? 'unknown' }
          : { identifier: { value: name }, display: name },
      requestor: fhirUser === null,
      ...(address ? { network: { address, type: '2' as const } } : {}),
    },
    serverAs(baseUrl, isDelete ? CUSTODIAN : isRead ? SOURCE : DESTINATION),
  ];
  if (fhirUser === null) return agents;
  const participation = isWrite(entry) ? 'AUT' : 'IRCP';
  agents.push({
    type: { coding: [terminology('v3-ParticipationType', participation)] },
    who: { reference: fhirUser },
    requestor: true,
  });
  return agents;
}

/** Who signs in, under the name that was given; nobody knows who it is where that failed. */
function signingIn(baseUrl: string, log: Pick<AuditLog, 'open'>, entry: Entry): AuditEventAgent[] {
  const { fhirUser, origin, query } = entry;
  const [, address] = origin?.split(' ') ?? [];
  const name = query === null ? undefined : opened(log, query);
  return [
    {
      who: fhirUser === null ? { identifier: { value: name ?? 'unknown' } } : { reference: fhirUser },
      ...(name ? { altId: name } : {}),
      requestor: true,
      ...(address ? { network: { address, type: '2' as const } } : {}),
    },
    serverAs(baseUrl, DESTINATION),
  ];
}

const serverAs = (baseUrl: string, role: Coding): AuditEventAgent => ({
  type: { coding: [role] },
  who: { display: baseUrl },
  requestor: false,
  network: { address: baseUrl, type: '5' },
});

function entitiesOf(log: Pick<AuditLog, 'open'>, entry: Entry): AuditEventEntity[] {
  const { type, resource, version, patients, query, origin } = entry;
  const entities: AuditEventEntity[] = patients.map((id) => ({
    what: { reference: `Patient/${id}` },
    type: terminology('audit-entity-type', '1', 'Person'),
    role: terminology('object-role', '1', 'Patient'),
  }));
  if (type !== null && resource !== null)
    entities.push({
      what: { reference: `${type}/${resource}${version === null ? '' : `/_history/${version}`}` },
      type: OBJECT,
      role: terminology('object-role', '4', 'Domain Resource'),
    });
  if (query !== null)
    entities.push({
      type: OBJECT,
      role: terminology('object-role', '24', 'Query'),
      query: Buffer.from(opened(log, query)).toString('base64'),
    });
  const [id] = origin?.split(' ') ?? [];
  if (id && id !== '-')
    entities.push({
      what: { identifier: { value: id } },
      type: { system: `${BALP}CodeSystem/BasicAuditEntityType`, code: 'XrequestId' },
    });
  return entities;
}

/** One that was sealed under another SECRET_KEY is told to be there. */
function opened(log: Pick<AuditLog, 'open'>, query: Buffer): string {
  try {
    return log.open(query);
  } catch {
    return 'sealed under another SECRET_KEY';
  }
}
