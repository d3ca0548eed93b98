/**
 * What happens between an app's request and its code: a person signs in, chooses a patient, and says what the app may do.
 * All that was chosen is kept here, by oidc-provider's Interaction; a form only says which of the choices it is.
 */
import { errors, type Provider } from 'oidc-provider';
import { readScope, type Scope } from '../access/scopes.ts';
import { type Account, END_SESSIONS } from './accounts.ts';
import { AUD } from './authorize.ts';
import type { SmartContext, Visit } from './context.ts';
import { isOurs, readForm, redirect, sendPage } from './forms.ts';
import { endGrants, type LaunchContext, setContext } from './grants.ts';
import { consumeLaunch, findLaunch } from './launches.ts';
import { type Choice, consentPage, type LaunchPage, patientPage } from './pages/consent.ts';
import { type Returned, signInPage } from './pages/sign-in.ts';
import type { PatientView } from './patients.ts';
import { permitted } from './scopes.ts';
import { isStamp, stampOf } from './secrets.ts';
import { signInBy } from './session.ts';
import { type Category, categoriesOf, describe, narrowed } from './words.ts';

type Details = Awaited<ReturnType<Provider['interactionDetails']>>;

/** What is known of a launch while it is being decided about. */
interface Launching {
  readonly visit: Visit;
  readonly details: Details;
  readonly account: Account;
  /** what the EHR has handed over */
  readonly given: LaunchContext;
  readonly scopes: readonly string[];
  readonly patient?: PatientView;
  readonly page: LaunchPage;
}

/** A launch may take so long after it has arrived, in seconds. */
const GRACE = 3600;

/** Scopes that need no decision: without them the launch is not what the app asked for. */
const FIXED = new Set(['openid', 'fhirUser', 'profile', 'launch', 'launch/patient', 'launch/encounter']);

/**
 * Shows the page of an interaction.
 *
 * @param uid  as in its URL
 * @param name the beginning of a patient's name that was searched for
 */
export async function show(context: SmartContext, visit: Visit, uid: string, name: string): Promise<void> {
  const details = await detailsOf(context, visit, uid);
  if (details.prompt.name === 'login') return showSignIn(context, visit, details);
  const launching = await launchingOf(context, visit, details);
  if (launching) await next(context, launching, name);
}

/** Takes a form of an interaction. */
export async function submit(
  context: SmartContext,
  visit: Visit,
  uid: string,
  action: string,
): Promise<void> {
  const details = await detailsOf(context, visit, uid);
  const form = await readForm(visit.request);
  const { stamps } = context.keys();
  if (!isOurs(visit.request, context.endpoints.issuer) || !isStamp(stamps, uid, form.get('stamp')))
    throw new errors.InvalidRequest('this form was not sent by its page');
  switch (action) {
    case 'login':
      return signIn(context, visit, details, form);
    case 'cancel':
      return deny(context, visit, 'the person did not sign in');
    case 'switch':
      return changePerson(context, visit, details);
  }
  if (details.prompt.name === 'login') throw new errors.SessionNotFound('the person has to sign in first');
  const launching = await launchingOf(context, visit, details);
  if (!launching) return;
  if (action === 'patient') return choosePatient(context, launching, form);
  if (form.get('decision') !== 'allow') return deny(context, visit, 'the person did not allow it');
  return consent(context, launching, form);
}

async function detailsOf({ provider }: SmartContext, visit: Visit, uid: string): Promise<Details> {
  const details = await provider().interactionDetails(visit.request, visit.response);
  if (details.uid !== uid) throw new errors.SessionNotFound('this page belongs to another launch');
  return details;
}

const pathOf = ({ root }: SmartContext, { uid }: Details): string => `${root}/interaction/${uid}`;

async function nameOf({ clients }: SmartContext, { params }: Details): Promise<string> {
  const id = params.client_id as string;
  return (await clients.find(id))?.name ?? id;
}

function deny({ provider }: SmartContext, { request, response }: Visit, why: string): Promise<void> {
  const result = { error: 'access_denied', error_description: why };
  return provider().interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

async function showSignIn(
  context: SmartContext,
  { response }: Visit,
  details: Details,
  { status = 200, ...came }: Returned = {},
): Promise<void> {
  const path = pathOf(context, details);
  const hint = details.params.login_hint;
  const there = details.session && (await context.accounts.find(details.session.accountId));
  const text = signInPage({
    root: context.root,
    action: `${path}/login`,
    cancel: `${path}/cancel`,
    stamp: stampOf(context.keys().stamps, details.uid),
    app: await nameOf(context, details),
    isMailing: context.enrolment.isMailing,
    ...came,
    username: came.username ?? (typeof hint === 'string' ? hint : undefined),
    ...(there ? { already: { person: there.name, action: `${path}/switch` } } : {}),
  });
  sendPage(response, status, text, details.params.redirect_uri as string);
}

async function signIn(
  context: SmartContext,
  visit: Visit,
  details: Details,
  form: URLSearchParams,
): Promise<void> {
  const arrival = await signInBy(context, form, visit.address, details.uid);
  if (!arrival.account)
    return showSignIn(context, visit, details, { username: form.get('username') ?? undefined, ...arrival });
  const { account, methods } = arrival;
  const { id } = account;
  // Somebody was signed in already, and the app wants to be sure that it is they.
  if (details.session?.accountId !== undefined && details.session.accountId !== id)
    return showSignIn(context, visit, details, {
      fault: 'Somebody else is signed in here. If that is not you, say so below.',
      status: 409,
    });
  // Consent comes with this once more, later: when the person has signed in is now.
  const login = { accountId: id, amr: methods, ts: Math.floor(Date.now() / 1000) };
  await context
    .provider()
    .interactionFinished(visit.request, visit.response, { login }, { mergeWithLastSubmission: false });
}

/** Signs the person out, and begins anew with what the app has asked for. */
async function changePerson(
  { pool, transacting, root }: SmartContext,
  { response }: Visit,
  details: Details,
) {
  const uid = details.session?.uid;
  if (uid !== undefined) {
    await pool.query({
      text: `${END_SESSIONS} and uid = $1`,
      values: [uid],
    });
    await endGrants(transacting, { session: uid });
  }
  await details.destroy();
  const { [AUD]: aud, ...params } = details.params as Record<string, string>;
  redirect(response, `${root}/authorize?${new URLSearchParams({ ...params, ...(aud ? { aud } : {}) })}`);
}

/** What is known of the launch so far; undefined where it cannot go on, which the person or the app was told. */
async function launchingOf(
  context: SmartContext,
  visit: Visit,
  details: Details,
): Promise<Launching | undefined> {
  const { accounts, clients, grammar, patients, pool, root } = context;
  const { params, session } = details;
  const account = session ? await accounts.find(session.accountId) : undefined;
  const client = await clients.find(params.client_id as string);
  if (!account || account.disabled || !client || client.disabled)
    throw new errors.SessionNotFound('the person or the app was switched off');

  const launch = typeof params.launch === 'string' ? await findLaunch(pool, params.launch, GRACE) : undefined;
  const page: LaunchPage = {
    root,
    path: pathOf(context, details),
    stamp: stampOf(context.keys().stamps, details.uid),
    app: client.name,
    person: account.name,
  };
  const isUsed = params.launch !== undefined && !launch;
  if (isUsed || (launch?.account !== undefined && launch.account !== account.id)) {
    await deny(context, visit, isUsed ? 'this launch was used already' : 'this launch is for another person');
    return undefined;
  }
  const given = launch?.context ?? {};
  const scopes = permitted(
    grammar,
    String(params.scope ?? '')
      .split(' ')
      .filter(Boolean),
    client,
  );
  const chosen = given.patient ?? (details.result?.patient as string | undefined);
  let patient = chosen === undefined ? undefined : await patients.find(account.fhirUser, chosen);
  if (given.patient !== undefined && !patient) {
    await deny(context, visit, 'the person may not open the record of this patient');
    return undefined;
  }
  if (!patient && needsPatient(context, scopes)) patient = await patients.only(account.fhirUser);
  return { visit, details, account, given, scopes, ...(patient ? { patient } : {}), page };
}

const readScopeOf = ({ grammar }: SmartContext, text: string): Scope | undefined =>
  readScope(text, grammar.definitions.isResourceType);

/** Whether the app wants the record of one patient. */
function needsPatient(context: SmartContext, scopes: readonly string[]): boolean {
  return scopes.some((text) => text === 'launch/patient' || readScopeOf(context, text)?.level === 'patient');
}

/** Shows what is to be decided next. */
async function next(
  context: SmartContext,
  launching: Launching,
  name: string,
  fault?: string,
): Promise<void> {
  const { visit, details, account, scopes, patient, page } = launching;
  const target = details.params.redirect_uri as string;
  if (needsPatient(context, scopes) && !patient) {
    const found = await context.patients.search(account.fhirUser, name);
    return sendPage(visit.response, 200, patientPage({ ...page, fault, patients: found, name }), target);
  }
  const offline = scopes.findIndex((text) => text === 'offline_access' || text === 'online_access');
  const text = consentPage({
    ...page,
    fault,
    patient,
    encounters: await encountersFor(context, launching),
    choices: choicesOf(context, scopes),
    offline: scopes[offline] === 'offline_access' ? offline : undefined,
    identity: scopes.includes('openid'),
  });
  sendPage(visit.response, 200, text, target);
}

async function encountersFor({ patients }: SmartContext, { given, scopes, patient }: Launching) {
  if (!scopes.includes('launch/encounter') || given.encounter !== undefined || !patient) return undefined;
  return patients.encounters(patient.id);
}

function choicesOf(context: SmartContext, scopes: readonly string[]): Choice[] {
  return scopes.flatMap((text, index) => {
    const scope = readScopeOf(context, text);
    if (!scope) return [];
    return [{ index, ...describe(scope), categories: categoriesOf(scope), ofAll: scope.level !== 'patient' }];
  });
}

async function choosePatient(
  context: SmartContext,
  launching: Launching,
  form: URLSearchParams,
): Promise<void> {
  const { visit, account, page } = launching;
  const patient = await context.patients.find(account.fhirUser, form.get('patient') ?? '');
  if (!patient) return next(context, launching, '', 'The record of this patient cannot be opened.');
  await context.provider().interactionResult(visit.request, visit.response, { patient: patient.id });
  redirect(visit.response, page.path);
}

/** Grants what was ticked, narrowed to the parts that were ticked, and lets oidc-provider make the code. */
async function consent(context: SmartContext, launching: Launching, form: URLSearchParams): Promise<void> {
  const { visit, details, account, given, scopes, patient } = launching;
  if (needsPatient(context, scopes) && !patient) return next(context, launching, '');
  // In another tab of theirs somebody else was chosen since.
  if (patient && form.get('patient') !== patient.id)
    return next(context, launching, '', `Another patient was chosen meanwhile: it is ${patient.name} now.`);
  const granted = grantedOf(context, scopes, form);
  if (!granted.some((text) => !FIXED.has(text)) && scopes.some((text) => !FIXED.has(text)))
    return next(
      context,
      launching,
      '',
      'Nothing is ticked: choose what the app may have, or do not allow it.',
    );

  const { launch, resource, client_id: clientId } = details.params as Record<string, string>;
  // Of two that come with the same launch, one gets no further.
  if (launch !== undefined && !(await consumeLaunch(context.pool, launch)))
    return deny(context, visit, 'this launch was used already');

  const provider = context.provider();
  const grant = new provider.Grant({ accountId: account.id, clientId });
  grant.addOIDCScope(granted.join(' '));
  grant.addResourceScope(resource ?? context.endpoints.fhir, granted.join(' '));
  const grantId = await grant.save();
  const encounter = await encounterOf(context, launching, form);
  const about: LaunchContext = {
    ...given,
    ...(patient ? { patient: patient.id } : {}),
    ...(encounter ? { encounter } : {}),
    ...(patient ? { need_patient_banner: given.need_patient_banner ?? launch === undefined } : {}),
  };
  const isOnline = granted.includes('online_access') && !granted.includes('offline_access');
  await setContext(context.pool, grantId, about, isOnline ? details.session?.uid : undefined);
  // What was not granted is as if it had not been asked for; else this page would come again and again.
  details.params.scope = granted.join(' ');
  await details.save(details.exp - Math.floor(Date.now() / 1000));
  context.log.info({ event: 'granted', account: account.id, client: clientId }, 'consent');
  await provider.interactionFinished(visit.request, visit.response, { consent: { grantId } });
}

/** The scopes that a form leaves: those that need no decision, those ticked, and parts of those narrowed. */
function grantedOf(context: SmartContext, scopes: readonly string[], form: URLSearchParams): string[] {
  const ticked = new Set(form.getAll('scope'));
  const parts = form.getAll('only');
  return scopes.flatMap((text, index) => {
    if (FIXED.has(text) || text === 'online_access') return [text];
    if (!ticked.has(String(index))) return [];
    const scope = readScopeOf(context, text);
    const categories = scope ? categoriesOf(scope) : [];
    const chosen = categories.filter((_: Category, i) => parts.includes(`${index}.${i}`));
    return scope && chosen.length > 0 ? chosen.map((category) => narrowed(scope, category)) : [text];
  });
}

async function encounterOf(
  context: SmartContext,
  launching: Launching,
  form: URLSearchParams,
): Promise<string | undefined> {
  const offered = await encountersFor(context, launching);
  return offered?.find(({ id }) => id === form.get('encounter'))?.id;
}
