/** People are let in: registered, and given a link by which they choose a password, by mail where mail is sent. */

import type { Clearance } from '../access/person.ts';
import type { Mailer } from '../jobs/mailer.ts';
import { type Account, type Accounts, FHIR_USERS, isFhirUser } from './accounts.ts';
import type { Passkeys } from './passkeys.ts';
import type { Patients } from './patients.ts';

export interface NewPerson {
  readonly username: string;
  /** `Type/id` of somebody in the records */
  readonly fhirUser: string;
  /** undefined: as in the records */
  readonly name?: string | undefined;
  readonly email?: string | undefined;
  /** undefined: a link is given by which it is chosen */
  readonly password?: string | undefined;
}

/** What is told to who has let somebody in. */
export type Enrolled = Account & {
  /** to be handed on to the person, where it could not be mailed */
  readonly link?: string;
  /** address that the link was sent to */
  readonly mailed?: string;
  /** why it was not */
  readonly unsent?: string;
};

/** Whoever asks for what cannot be done is told by an Error in one line. */
export interface Enrolment {
  /** whether there is a mail server */
  readonly isMailing: boolean;
  add(person: NewPerson): Promise<Enrolled>;
  /** A new link; the old password goes on until it is used. With the passkeys, those are no more at once. */
  reset(username: string, options?: { readonly passkeys?: boolean }): Promise<Enrolled>;
  /** A link for who cannot sign in, to their own address; nothing where there is nobody. */
  forgotten(username: string): Promise<void>;
  setEmail(username: string, email: string | undefined): Promise<void>;
  clear(username: string, label: string): Promise<void>;
  /** Lets a person in no more, or in again. */
  turn(username: string, on: boolean): Promise<void>;
}

export interface EnrolmentOptions {
  readonly accounts: Accounts;
  readonly passkeys: Passkeys;
  readonly patients: Patients;
  readonly mailer: Mailer | undefined;
  readonly issuer: string;
}

const DAY = 24;
/** For so many hours a link is good: of who was invited, and of who has just asked. */
const INVITED = 3 * DAY;
const ASKED = 1;

const CLEARANCES: readonly string[] = ['N', 'R', 'V'] satisfies Clearance[];

export function makeEnrolment({ accounts, passkeys, patients, mailer, issuer }: EnrolmentOptions): Enrolment {
  async function named(username: string): Promise<Account> {
    const account = await accounts.named(username);
    if (!account) throw new Error(`there is no user "${username}": consilium user list shows them`);
    return account;
  }

  const linkFor = async ({ id }: Account, hours: number): Promise<string> =>
    `${issuer}/password?link=${await accounts.link(id, hours)}`;

  async function send(account: Account & { readonly email: string }, link: string, hours: number) {
    const until = hours < DAY ? `${hours === 1 ? 'an hour' : `${hours} hours`}` : `${hours / DAY} days`;
    await mailer?.send({
      to: account.email,
      subject: 'Choose your password',
      text: `${greeted(account)}, by this link you choose the password of your user name ${account.username}:

${link}

It is good once, and for ${until}. If you did not expect it, do nothing: without it, nothing changes.
`,
    });
  }

  async function invite(account: Account): Promise<Enrolled> {
    const link = await linkFor(account, INVITED);
    const { email } = account;
    if (!mailer || email === undefined) return { ...account, link };
    try {
      await send({ ...account, email }, link, INVITED);
      return { ...account, mailed: email };
    } catch (fault) {
      return { ...account, link, unsent: (fault as Error).message };
    }
  }

  return {
    isMailing: mailer !== undefined,
    async add({ username, fhirUser, name, email, password }) {
      if (!isFhirUser(fhirUser))
        throw new Error(`"${fhirUser}" is not Type/id of a ${FHIR_USERS.join(', ')}`);
      const known = await patients.nameOf(fhirUser);
      if (known === undefined) throw new Error(`there is no ${fhirUser} in the records: load it first`);
      const account = await accounts.add({ username, fhirUser, name: name ?? known, email, password });
      return password === undefined ? invite(account) : account;
    },
    async reset(username, { passkeys: lost = false } = {}) {
      const account = await named(username);
      if (lost) await passkeys.removeAll(account.id);
      return invite(await named(username));
    },
    async forgotten(username) {
      const account = await accounts.named(username);
      if (!account?.email || account.disabled) return;
      const to = { ...account, email: account.email };
      // Who has chosen to be recognized by a passkey alone is not to be recognized by a mailbox.
      const isByPasskey = !account.hasPassword && (await passkeys.list(account.id)).length > 0;
      if (!isByPasskey) return send(to, await linkFor(account, ASKED), ASKED);
      await mailer?.send({
        to: account.email,
        subject: 'You sign in by passkey',
        text: `${greeted(account)}, a link to choose a password was asked for. You have none: you sign in by passkey alone.
If you have lost it, ask who runs this server for a link.
`,
      });
    },
    setEmail: async (username, email) => accounts.setEmail((await named(username)).id, email),
    async clear(username, label) {
      if (!CLEARANCES.includes(label))
        throw new Error(`"${label}" is none of N (normal), R (restricted) and V (very restricted)`);
      await accounts.clear((await named(username)).id, label as Clearance);
    },
    async turn(username, on) {
      const { id } = await named(username);
      await (on ? accounts.enable(id) : accounts.disable(id));
    },
  };
}

/** A name is one line of a mail, whatever the records hold. */
const greeted = ({ name }: Account): string => name.replace(/[\s\p{C}]+/gu, ' ').slice(0, 100);
