/** A person's own pages: sign in, choose a password, see and end what was allowed, launch an app. */
import { errors } from 'oidc-provider';
import { readScope } from '../access/scopes.ts';
import type { SmartContext, Visit } from './context.ts';
import { isOurs, readForm, redirect, sendJson, sendPage } from './forms.ts';
import { endGrants, grantsOf } from './grants.ts';
import { keepLaunch } from './launches.ts';
import { accountPage, tryPage } from './pages/account.ts';
import { notePage, passwordPage, type Returned, signInPage } from './pages/sign-in.ts';
import { readResponse, type Way } from './passkeys.ts';
import { SHORTEST } from './passwords.ts';
import { isStamp, stampOf } from './secrets.ts';
import { begin, signInBy, type Visitor, visitorOf } from './session.ts';
import { describe } from './words.ts';

/** Pages to which signing in leads. */
const AFTER = new Set(['account', 'try']);

/** @param after the page that was asked for */
export function showSignIn(
  { root, keys, enrolment }: SmartContext,
  { response }: Visit,
  after: string,
  { status = 200, ...came }: Returned = {},
): void {
  const to = AFTER.has(after) ? after : 'account';
  const action = `${root}/sign-in?to=${to}`;
  const { isMailing } = enrolment;
  const stamp = stampOf(keys().stamps, SIGN_IN);
  sendPage(response, status, signInPage({ root, action, stamp, isMailing, ...came }));
}

const SIGN_IN = 'sign-in';

export async function signIn(context: SmartContext, visit: Visit, after: string): Promise<void> {
  const form = await formOf(context, visit, SIGN_IN);
  const arrival = await signInBy(context, form, visit.address, SIGN_IN);
  if (!arrival.account)
    return showSignIn(context, visit, after, { username: form.get('username') ?? undefined, ...arrival });
  await begin(context, visit, arrival.account, arrival.methods);
  redirect(visit.response, `${context.root}/${AFTER.has(after) ? after : 'account'}`);
}

/** @throws InvalidRequest where a form is not of our page */
export async function formOf(
  { keys, endpoints }: SmartContext,
  { request }: Visit,
  stamped: string,
): Promise<URLSearchParams> {
  const form = await readForm(request);
  if (!isOurs(request, endpoints.issuer) || !isStamp(keys().stamps, stamped, form.get('stamp')))
    throw new errors.InvalidRequest('this form was not sent by its page');
  return form;
}

export async function showAccount(context: SmartContext, visit: Visit, done?: string): Promise<void> {
  const visitor = await visitorOf(context, visit);
  if (!visitor) return showSignIn(context, visit, 'account');
  const { account, session, uid } = visitor;
  const [grants, sessions, passkeys] = await Promise.all([
    grantsOf(context.pool, account.id),
    context.accounts.sessions(account.id),
    context.passkeys.list(account.id),
  ]);
  const looks = await context.patients.looks(account.fhirUser);
  const apps = grants.map(async ({ id, client, scope, context: about, created }) => {
    const patient = about.patient && (await context.patients.find(account.fhirUser, about.patient));
    return {
      id,
      name: client,
      since: created.slice(0, 10),
      may: wordsOf(context, scope),
      ...(patient ? { patient: patient.name } : {}),
    };
  });
  const text = accountPage({
    root: context.root,
    stamp: stampOf(context.keys().stamps, uid),
    account,
    apps: await Promise.all(apps),
    looks,
    // this one first
    sessions: sessions
      .map(({ id, since }) => ({
        id,
        since: `${new Date(since * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`,
        current: id === session,
      }))
      .sort((one, other) => Number(other.current) - Number(one.current)),
    passkeys: passkeys.map(({ id, created, used }) => ({
      id,
      says: `since ${created.slice(0, 10)}${used ? `, last used ${used.slice(0, 10)}` : ''}`,
    })),
    done,
  });
  sendPage(visit.response, 200, text);
}

function wordsOf({ grammar }: SmartContext, scope: string): string[] {
  const words = scope.split(' ').flatMap((text) => {
    if (text === 'offline_access') return ['This also while you are away'];
    const one = readScope(text, grammar.definitions.isResourceType);
    if (!one) return [];
    const { what, may, only } = describe(one);
    return [`${what}${only ? `, ${only}` : ''}: ${may}`];
  });
  return [...new Set(words)];
}

/** Seconds after signing in in which a person may change how they sign in: a session that was left open may not. */
const FRESH = 15 * 60;

/** Ends an app's access or a session, or changes how the person signs in. */
export async function change(context: SmartContext, visit: Visit, action: string): Promise<void> {
  const visitor = await visitorOf(context, visit);
  if (!visitor) return showSignIn(context, visit, 'account');
  const form = await formOf(context, visit, visitor.uid);
  const changes = CHANGES[action] as Change;
  if (changes.fresh && Date.now() / 1000 - visitor.since > FRESH)
    return showSignIn(context, visit, 'account', { fault: 'Sign in once more to change how you sign in.' });
  await changes.make(context, visitor, form);
  context.log.info({ event: action, account: visitor.account.id }, 'account');
  redirect(visit.response, `${context.root}/account`);
}

interface Change {
  readonly fresh?: boolean;
  readonly make: (context: SmartContext, visitor: Visitor, form: URLSearchParams) => Promise<void>;
}

/** @throws InvalidRequest where the form names nothing */
function named(form: URLSearchParams): string {
  const id = form.get('id') ?? '';
  if (!/^(?:[0-9a-f]{2}){1,1023}$/.test(id)) throw new errors.InvalidRequest('the form names nothing');
  return id;
}

const CHANGES: Readonly<Record<string, Change>> = {
  revoke: {
    make: ({ transacting }, { account }, form) =>
      endGrants(transacting, { hash: named(form), account: account.id }),
  },
  'sign-out': {
    async make({ accounts, records }, { account }, form) {
      await accounts.endSession(account.id, named(form));
      await records.note({ what: 'sign-out', person: account.fhirUser });
    },
  },
  passkey: {
    fresh: true,
    async make({ passkeys }, { account }, form) {
      const response = readResponse(form.get('passkey'));
      if (!response || !(await passkeys.add(account, response)))
        throw new errors.InvalidRequest('this passkey could not be checked: try again');
    },
  },
  way: {
    fresh: true,
    async make({ passkeys }, { account }, form) {
      const way = form.get('id') ?? '';
      if (!isWay(way) || !(await passkeys.setWay(account.id, way)))
        throw new errors.InvalidRequest('for that a passkey is needed, or a password, which is not there');
    },
  },
  'remove-passkey': {
    fresh: true,
    async make({ passkeys }, { account }, form) {
      // Who has neither could not sign in again.
      if (!(await passkeys.remove(account.id, named(form))))
        throw new errors.InvalidRequest(
          'you could not sign in without this passkey: add another first, or say that the password is enough',
        );
    },
  },
};

const isWay = (text: string): text is Way => ['either', 'both', 'alone'].includes(text);

/** What a browser is to ask for of a device, to make a passkey of the person who is signed in. */
export async function askForPasskey(context: SmartContext, visit: Visit): Promise<void> {
  const visitor = await visitorOf(context, visit);
  if (!visitor) throw new errors.InvalidToken('sign in first');
  sendJson(visit.response, 200, await context.passkeys.toMake(visitor.account));
}

export async function showPassword(context: SmartContext, visit: Visit, link: string): Promise<void> {
  const { root, accounts } = context;
  const account = await accounts.ofLink(link);
  if (!account)
    return sendPage(
      visit.response,
      410,
      notePage(root, 'This link is no longer good', 'It was used already, or is too old. Ask for a new one.'),
    );
  const { username, name } = account;
  sendPage(visit.response, 200, passwordPage({ root, link, username, name, shortest: SHORTEST }));
}

export async function choosePassword(context: SmartContext, visit: Visit): Promise<void> {
  const { root, accounts, endpoints } = context;
  const form = await readForm(visit.request);
  if (!isOurs(visit.request, endpoints.issuer))
    throw new errors.InvalidRequest('this form was not sent by its page');
  const link = form.get('link') ?? '';
  const account = await accounts.ofLink(link);
  if (!account) return showPassword(context, visit, link);
  const password = form.get('password') ?? '';
  const fault =
    password === form.get('again')
      ? await accounts.choose(link, password)
      : 'The two passwords are not the same.';
  if (fault !== undefined) {
    const { username, name } = account;
    return sendPage(
      visit.response,
      400,
      passwordPage({ root, link, username, name, shortest: SHORTEST, fault }),
    );
  }
  const says = 'The new password is kept. All earlier sessions were ended.';
  sendPage(visit.response, 200, notePage(root, 'Done', says, [`${root}/account`, 'Sign in']));
}

/** The launch page: what an EHR does, by hand. */
export async function showTry(
  context: SmartContext,
  visit: Visit,
  name: string,
  fault?: string,
): Promise<void> {
  const visitor = await visitorOf(context, visit);
  if (!visitor) return showSignIn(context, visit, 'try');
  const { account, uid } = visitor;
  const text = tryPage({
    root: context.root,
    stamp: stampOf(context.keys().stamps, uid),
    person: account.name,
    fhir: context.endpoints.fhir,
    name,
    patients: await context.patients.search(account.fhirUser, name),
    apps: await launchable(context),
    fault,
  });
  sendPage(visit.response, fault ? 400 : 200, text);
}

async function launchable({ clients }: SmartContext) {
  return (await clients.list()).filter(({ launchUri, disabled }) => launchUri !== undefined && !disabled);
}

export async function tryLaunch(context: SmartContext, visit: Visit): Promise<void> {
  const visitor: Visitor | undefined = await visitorOf(context, visit);
  if (!visitor) return showSignIn(context, visit, 'try');
  const form = await formOf(context, visit, visitor.uid);
  const { account } = visitor;
  const patient = await context.patients.find(account.fhirUser, form.get('patient') ?? '');
  const app = (await launchable(context)).find(({ id }) => id === form.get('app'));
  if (!patient || !app?.launchUri) return showTry(context, visit, '', 'Choose a patient and an app.');
  const launch = await keepLaunch(context.pool, {
    client: app.id,
    account: account.id,
    context: { patient: patient.id, need_patient_banner: false },
  });
  const to = new URL(app.launchUri);
  to.searchParams.set('iss', context.endpoints.fhir);
  to.searchParams.set('launch', launch);
  redirect(visit.response, to.href);
}
