/** A server whose BASE_URL is where it listens, with people, patients and clients. */
import { createServer } from 'node:net';
import { startApp, type TestApp } from '../http/app.ts';
import { Browser } from './browser.ts';

export const PASSWORD = 'correct horse battery';
export const CALLBACK = 'http://localhost:3999/callback';

export interface SmartServer extends TestApp {
  readonly issuer: string;
  readonly fhir: string;
  /** A browser in which nobody is signed in. */
  browser(): Browser;
}

export async function startSmart(settings: Record<string, string> = {}): Promise<SmartServer> {
  const port = await freePort();
  // a name, as passkeys are for one
  const base = `http://localhost:${port}`;
  const app = await startApp({ PORT: String(port), BASE_URL: base, ...settings });
  const { accounts, clients } = app.app.smart;
  await Promise.all(RESOURCES.map((resource) => put(app, resource)));
  for (const [username, name, fhirUser] of PEOPLE)
    await accounts.add({ username, name, fhirUser, password: PASSWORD });
  const redirectUris = [CALLBACK];
  await clients.add({
    id: 'app',
    name: 'Heart app',
    type: 'public',
    redirectUris,
    launchUri: `${CALLBACK}/launch`,
  });
  return {
    ...app,
    url: base,
    issuer: `${base}/auth`,
    fhir: `${base}/fhir`,
    browser: () => new Browser(base),
  };
}

export async function put(app: TestApp, resource: { resourceType: string; id: string }): Promise<void> {
  const { resourceType, id } = resource;
  const answer = await app.send('put', `/${resourceType}/${id}`).type('application/fhir+json').send(resource);
  expect(answer.status).toBeLessThan(300);
}

const PEOPLE = [
  ['doctor', 'Dr. Ada Berg', 'Practitioner/ada'],
  ['stranger', 'Dr. Tom Fern', 'Practitioner/tom'],
  ['patient', 'Ines Alba', 'Patient/ines'],
  ['mother', 'Rosa Alba', 'RelatedPerson/rosa'],
] as const;

const reference = (to: string) => ({ reference: to });

const RESOURCES = [
  { resourceType: 'Organization', id: 'clinic', name: 'Clinic' },
  { resourceType: 'Practitioner', id: 'ada', name: [{ family: 'Berg', given: ['Ada'] }] },
  { resourceType: 'Practitioner', id: 'tom', name: [{ family: 'Fern', given: ['Tom'] }] },
  {
    resourceType: 'PractitionerRole',
    id: 'ada-clinic',
    active: true,
    practitioner: reference('Practitioner/ada'),
    organization: reference('Organization/clinic'),
  },
  {
    resourceType: 'Patient',
    id: 'ines',
    name: [{ family: 'Alba', given: ['Ines'] }],
    birthDate: '2001-02-03',
    gender: 'female',
    managingOrganization: reference('Organization/clinic'),
  },
  {
    resourceType: 'Patient',
    id: 'juan',
    name: [{ family: 'Brook', given: ['Juan'] }],
    birthDate: '1970-05-06',
    managingOrganization: reference('Organization/clinic'),
  },
  { resourceType: 'Patient', id: 'away', name: [{ family: 'Away', given: ['Not'] }] },
  {
    resourceType: 'RelatedPerson',
    id: 'rosa',
    active: true,
    patient: reference('Patient/ines'),
    name: [{ text: 'Rosa Alba' }],
  },
  {
    resourceType: 'Encounter',
    id: 'visit',
    status: 'in-progress',
    class: { code: 'AMB' },
    subject: reference('Patient/ines'),
    period: { start: '2026-11-01' },
  },
];

/** A port that nothing listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
