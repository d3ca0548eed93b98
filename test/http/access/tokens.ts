/** Access tokens as the authorization server makes them, without going through its pages. */
import { createHash, randomBytes } from 'node:crypto';
import { Client } from 'pg';
import request, { type Test } from 'supertest';
import type { TestApp } from '../app.ts';

export interface Launch {
  readonly patient?: string;
  /** Type/id */
  readonly fhirUser?: string;
  /** ids of organizations that a system's client is limited to */
  readonly organizations?: readonly string[];
}

/** A token with these scopes, for a person, in the records of a patient. */
export async function tokenFor(
  app: TestApp,
  scope: string,
  { organizations, ...extra }: Launch = {},
): Promise<string> {
  const token = randomBytes(32).toString('base64url');
  const hash = createHash('sha256').update(token).digest();
  const client = new Client(app.databaseUrl);
  await client.connect();
  const name = organizations ? `of-${organizations.join('-')}` : 'test';
  if (organizations)
    await client.query(
      `insert into client (id, name, type, organizations) values ($1, $1, 'backend', $2) on conflict do nothing`,
      [name, organizations],
    );
  await client.query(
    `insert into token (hash, scope, client, expires, payload) values ($1, $2, $3, now() + interval '1 hour', $4)`,
    [hash, scope, name, { kind: 'AccessToken', extra }],
  );
  await client.end();
  return token;
}

/** Requests with such a token. */
export type Asking = (method: 'get' | 'head' | 'post' | 'put' | 'patch' | 'delete', path: string) => Test;

export async function asking(app: TestApp, scope: string, extra: Launch = {}): Promise<Asking> {
  return asked(app, await tokenFor(app, scope, extra));
}

export const asked =
  (app: TestApp, token: string): Asking =>
  (method, path) =>
    request(app.url)[method](`/fhir${path}`).set('Authorization', `Bearer ${token}`).buffer(true);
