/** People and apps of sample mode: somebody to sign in as, and something to let in. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Config } from '../../config.ts';
import type { Smart } from '../../smart/open.ts';
import { hasPasswords } from '../../smart/passwords.ts';

export interface Demo {
  /** names to sign in with, and who they are */
  readonly people: readonly (readonly [username: string, is: string])[];
  /** of all of them; undefined where they were there already */
  readonly password?: string;
  /** client ids */
  readonly app: string;
  readonly backend: string;
  /** file of the backend's private key */
  readonly key: string;
}

const PEOPLE = [
  ['okafor', 'a doctor at Cedar Ridge clinic', 'Practitioner/amara-okafor'],
  ['haddad', 'a specialist at Northgate hospital', 'Practitioner/yasmin-haddad'],
  ['lopez', 'a patient', 'Patient/maria-lopez'],
] as const;

const APP = 'demo-app';
const BACKEND = 'demo-backend';

/** Makes them where they are not there yet; undefined where this Node cannot keep passwords. */
export async function makeDemo(
  { baseUrl, dataDir }: Config,
  { accounts, clients, patients }: Smart,
): Promise<Demo | undefined> {
  if (!hasPasswords) return undefined;
  const key = join(resolve(dataDir), 'demo-backend-key.json');
  const known = {
    people: PEOPLE.map(([username, is]) => [username, is] as const),
    app: APP,
    backend: BACKEND,
    key,
  };
  if (await clients.find(APP)) return known;

  const password = randomBytes(9).toString('base64url');
  for (const [username, , fhirUser] of PEOPLE) {
    const name = await patients.nameOf(fhirUser);
    // A store that was filled otherwise has other people.
    if (name !== undefined && !(await accounts.named(username)))
      await accounts.add({ username, name, fhirUser, password });
  }
  await clients.add({
    id: APP,
    name: 'Demo app',
    type: 'public',
    // On this machine any port is taken (RFC 8252 §7.3).
    redirectUris: [`${baseUrl}/auth/demo`, 'http://localhost:3000/', 'http://localhost:3000/callback'],
    launchUri: `${baseUrl}/auth/demo`,
  });
  if (!(await clients.find(BACKEND))) {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    const kid = randomBytes(8).toString('hex');
    const head = { kid, use: 'sig', alg: 'ES384' };
    writeFileSync(key, `${JSON.stringify({ ...head, ...privateKey.export({ format: 'jwk' }) })}\n`, {
      mode: 0o600,
    });
    await clients.add({
      id: BACKEND,
      name: 'Demo backend service',
      type: 'backend',
      scope: 'system/*.cruds',
      jwks: JSON.stringify({ keys: [{ ...head, ...publicKey.export({ format: 'jwk' }) }] }),
    });
  }
  return { ...known, password };
}
