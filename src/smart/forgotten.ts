/** A person asks for a link to choose a new password. Whether there is an account is told to its mailbox alone. */
import { errors } from 'oidc-provider';
import { folded } from './accounts.ts';
import { countLink } from './attempts.ts';
import type { SmartContext, Visit } from './context.ts';
import { sendPage } from './forms.ts';
import { forgottenPage, notePage } from './pages/sign-in.ts';
import { formOf } from './people.ts';
import { stampOf } from './secrets.ts';
import { faultOfWait } from './session.ts';

const FORGOTTEN = 'forgotten';

/** @throws InvalidRequest 404 where no mail is sent */
export function show(context: SmartContext, visit: Visit): void {
  if (!context.enrolment.isMailing)
    throw Object.assign(new errors.InvalidRequest('this server sends no mail: ask who runs it for a link'), {
      statusCode: 404,
    });
  shown(context, visit, 200);
}

function shown({ root, keys }: SmartContext, { response }: Visit, status: number, fault?: string): void {
  sendPage(response, status, forgottenPage({ root, stamp: stampOf(keys().stamps, FORGOTTEN), fault }));
}

export async function submit(context: SmartContext, visit: Visit): Promise<void> {
  const { root, pool, enrolment, later } = context;
  const form = await formOf(context, visit, FORGOTTEN);
  if (!enrolment.isMailing) return show(context, visit);
  const username = form.get('username') ?? '';
  // Counted by the name, whether there is somebody of that name or not.
  const wait = await countLink(pool, folded(username), visit.address);
  if (wait > 0) {
    const { status, fault } = faultOfWait(wait);
    return shown(context, visit, status, fault);
  }
  const says =
    'If there is a user of that name with an address of mail, a link is on its way. It is good for an hour.';
  sendPage(visit.response, 200, notePage(root, 'Look into your mail', says, [`${root}/account`, 'Sign in']));
  // After the answer, which so takes as long for every name.
  later('could not send a link', enrolment.forgotten(username));
}
