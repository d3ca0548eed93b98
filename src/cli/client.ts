/** `consilium client`: apps and backend services, also while the server runs. */
import { readFileSync } from 'node:fs';
import type { Client, ClientType, Credentials, NewClient } from '../smart/clients.ts';
import { oneLine, Usage } from './fault.ts';
import { withSmart } from './smart.ts';

export interface AddOptions {
  readonly type: ClientType;
  readonly id?: string;
  readonly name?: string;
  readonly redirectUri?: string[];
  readonly scope?: string;
  readonly jwks?: string;
  readonly jwksUri?: string;
  readonly launchUri?: string;
  readonly logoUri?: string;
  readonly introspect?: boolean;
  readonly organization?: string[];
  readonly json?: boolean;
}

export async function addClient(options: AddOptions): Promise<void> {
  const { jwks, redirectUri, introspect, organization, json, ...rest } = options;
  const client: NewClient = {
    ...rest,
    redirectUris: redirectUri,
    jwks: keySetOf(jwks),
    introspects: introspect,
    organizations: organization,
  };
  tell(await withSmart(({ clients }) => clients.add(client)), json);
}

export async function rotateClient({
  id,
  jwks,
  jwksUri,
  json,
}: {
  readonly id: string;
} & Pick<AddOptions, 'jwks' | 'jwksUri' | 'json'>): Promise<void> {
  const keys = { jwks: keySetOf(jwks), jwksUri };
  tell(await withSmart(({ clients }) => clients.rotate(id, keys)), json);
}

/** @throws Usage where there is no such file */
function keySetOf(file: string | undefined): string | undefined {
  try {
    return file === undefined ? undefined : readFileSync(file, 'utf8');
  } catch (fault) {
    throw new Usage(`--jwks ${file} cannot be read: ${oneLine(fault)}`);
  }
}

function tell(credentials: Credentials, json = false): void {
  const { client_id: id, client_secret: secret } = credentials;
  const lines = [`client_id      ${id}`];
  if (secret !== undefined) lines.push(`client_secret  ${secret}`, 'It is shown this once: keep it.');
  console.log(json ? JSON.stringify(credentials) : lines.join('\n'));
}

export async function listClients({ json = false }: { json?: boolean }): Promise<void> {
  const clients = await withSmart(async (smart) => smart.clients.list());
  if (json) return console.log(JSON.stringify(clients));
  for (const client of clients) console.log(lineOf(client));
}

function lineOf({ id, type, name, scope, organizations, disabled }: Client): string {
  const within = organizations.map((one) => `Organization/${one}`).join(',');
  return [id, type, disabled ? 'disabled' : 'enabled', name, scope, within].filter(Boolean).join('  ');
}

/** Lets a client in no more, and ends what it was granted, from the next request on; or lets it in again. */
export async function switchClient(id: string, on: boolean): Promise<void> {
  await withSmart(({ clients }) => (on ? clients.enable(id) : clients.disable(id)));
}

export async function inviteClient(): Promise<void> {
  console.log(await withSmart((smart) => smart.invite()));
}
