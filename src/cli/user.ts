/** `consilium user`: people who sign in, also while the server runs. */
import { text } from 'node:stream/consumers';
import { type Account, FHIR_USERS } from '../smart/accounts.ts';
import type { Smart } from '../smart/open.ts';
import { Usage } from './fault.ts';
import { withSmart } from './smart.ts';

export interface UserOptions {
  readonly username: string;
  readonly fhirUser: string;
  readonly name?: string;
  readonly passwordStdin?: boolean;
  readonly json?: boolean;
}

export async function addUser({ username, fhirUser, name, passwordStdin, json }: UserOptions): Promise<void> {
  if (!new RegExp(`^(?:${FHIR_USERS.join('|')})/[A-Za-z0-9.-]{1,64}$`).test(fhirUser))
    throw new Usage(`--fhir-user: "${fhirUser}" is not Type/id of a ${FHIR_USERS.join(', ')}`);
  const password = passwordStdin ? (await text(process.stdin)).replace(/\r?\n$/, '') : undefined;
  const told = await withSmart(async (smart, baseUrl) => {
    const known = await smart.patients.nameOf(fhirUser);
    if (known === undefined) throw new Error(`there is no ${fhirUser} in the records: load it first`);
    const account = await smart.accounts.add({ username, name: name ?? known, fhirUser, password });
    return {
      ...account,
      ...(password === undefined ? { link: await linkFor(smart, baseUrl, account) } : {}),
    };
  });
  tell(told, json);
}

/** A new link by which the person chooses a password; the old password goes on until it is used. */
export async function resetUser({ username, json }: Pick<UserOptions, 'username' | 'json'>): Promise<void> {
  const told = await withSmart(async (smart, baseUrl) => {
    const account = await named(smart, username);
    return { ...account, link: await linkFor(smart, baseUrl, account) };
  });
  tell(told, json);
}

async function linkFor({ accounts }: Smart, baseUrl: string, { id }: Account): Promise<string> {
  return `${baseUrl}/auth/password?link=${await accounts.link(id)}`;
}

function tell({ link, ...account }: Account & { readonly link?: string }, json = false): void {
  const lines = [`${account.username}  ${account.name}  ${account.fhirUser}`];
  if (link) lines.push('Give this link to the person; it is good once, for three days:', link);
  console.log(json ? JSON.stringify({ ...account, ...(link ? { link } : {}) }) : lines.join('\n'));
}

async function named({ accounts }: Smart, username: string): Promise<Account> {
  const account = await accounts.named(username);
  if (!account) throw new Error(`there is no user "${username}": consilium user list shows them`);
  return account;
}

export async function listUsers({ json = false }: { json?: boolean }): Promise<void> {
  const users = await withSmart(async ({ accounts }) => accounts.list());
  if (json) return console.log(JSON.stringify(users));
  for (const { username, name, fhirUser, disabled } of users)
    console.log([username, name, fhirUser, disabled ? 'disabled' : 'enabled'].join('  '));
}

/** Says how confidential what a person sees may be labelled. */
export async function clearUser(username: string, label: string): Promise<void> {
  if (label !== 'N' && label !== 'R' && label !== 'V')
    throw new Usage(`--label: "${label}" is none of N (normal), R (restricted) and V (very restricted)`);
  await withSmart(async (smart) => smart.accounts.clear((await named(smart, username)).id, label));
}

/** Lets a person in no more, and ends all sessions and grants, from the next request on; or lets them in again. */
export async function switchUser(username: string, on: boolean): Promise<void> {
  await withSmart(async (smart) => {
    const { id } = await named(smart, username);
    await (on ? smart.accounts.enable(id) : smart.accounts.disable(id));
  });
}
