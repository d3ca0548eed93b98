/** `consilium user`: people who sign in, also while the server runs. */
import { text } from 'node:stream/consumers';
import { FHIR_USERS, isFhirUser } from '../smart/accounts.ts';
import type { Enrolled, NewPerson } from '../smart/enrolment.ts';
import { Usage } from './fault.ts';
import { withSmart } from './smart.ts';

export interface UserOptions extends Omit<NewPerson, 'password'> {
  readonly passwordStdin?: boolean;
  readonly json?: boolean;
}

export async function addUser({ passwordStdin, json, ...person }: UserOptions): Promise<void> {
  if (!isFhirUser(person.fhirUser))
    throw new Usage(`--fhir-user: "${person.fhirUser}" is not Type/id of a ${FHIR_USERS.join(', ')}`);
  const password = passwordStdin ? (await text(process.stdin)).replace(/\r?\n$/, '') : undefined;
  tell(await withSmart(({ enrolment }) => enrolment.add({ ...person, password })), json);
}

/** A new link by which the person chooses a password. */
export async function resetUser({
  username,
  passkeys,
  json,
}: {
  readonly username: string;
  readonly passkeys?: boolean;
  readonly json?: boolean;
}): Promise<void> {
  tell(await withSmart(({ enrolment }) => enrolment.reset(username, { passkeys })), json);
}

function tell(enrolled: Enrolled, json = false): void {
  const { username, name, fhirUser, link, mailed, unsent } = enrolled;
  const lines = [`${username}  ${name}  ${fhirUser}`];
  if (unsent) lines.push(`No mail was sent: ${unsent}`);
  if (link) lines.push('Give this link to the person; it is good once, for three days:', link);
  if (mailed) lines.push(`A link was sent to ${mailed}; it is good once, for three days.`);
  console.log(json ? JSON.stringify(enrolled) : lines.join('\n'));
}

export async function listUsers({ json = false }: { json?: boolean }): Promise<void> {
  const users = await withSmart(async ({ accounts }) => accounts.list());
  if (json) return console.log(JSON.stringify(users));
  for (const { username, name, fhirUser, disabled } of users)
    console.log([username, name, fhirUser, disabled ? 'disabled' : 'enabled'].join('  '));
}

/** Says where links for a person are sent to. */
export async function mailUser(username: string, email: string | undefined): Promise<void> {
  await withSmart(({ enrolment }) => enrolment.setEmail(username, email));
}

/** Says how confidential what a person sees may be labelled. */
export async function clearUser(username: string, label: string): Promise<void> {
  await withSmart(({ enrolment }) => enrolment.clear(username, label));
}

/** Lets a person in no more, and ends all sessions and grants, from the next request on; or lets them in again. */
export async function switchUser(username: string, on: boolean): Promise<void> {
  await withSmart(({ enrolment }) => enrolment.turn(username, on));
}
