/** Breaking the glass: a practitioner sees a patient whom they do not treat, says why, and is asked about it afterwards. */
import type { Patient, Task } from 'fhir/r4.js';
import { invalid, refusal } from '../fhir/outcome.ts';
import { addEmergency } from '../store/emergencies.ts';
import { read } from './read.ts';
import type { Caller, EmergencyRequest, Written } from './records.ts';
import type { Setting } from './setting.ts';

const MINUTES = 60;
/** So often a day. */
const MOST = 5;

/**
 * @param operator     whoever may write the Task
 * @param createTask   asks for a review of it, before it is done
 * @returns            until when, in milliseconds
 * @throws             Refusal 400 without a reason; 404; 429 where they have done it too often
 */
export async function breakGlass(
  setting: Setting,
  operator: Caller,
  { practitioner, patient, reason, agent }: EmergencyRequest,
  createTask: (body: string) => Promise<Written>,
): Promise<number> {
  const { store } = setting;
  const why = reason.trim();
  if (why.length < 10 || why.length > 1000)
    throw invalid('required', 'Say in 10 to 1000 characters why this patient has to be seen now (reason)');
  const { content } = await read(setting, operator, 'Patient', patient);
  const [grantee, rid] = await store.numbers.find([
    { type: 'Practitioner', id: practitioner },
    { type: 'Patient', id: patient },
  ]);
  if (grantee === undefined || rid === undefined)
    throw refusal(404, 'not-found', `Practitioner/${practitioner} is not known here`);
  await createTask(JSON.stringify(review(practitioner, patient, why, JSON.parse(content) as Patient)));
  const until = await addEmergency(
    store.pool,
    { grantee, patient: rid, agent, reason: why },
    { minutes: MINUTES, most: MOST },
  );
  if (until === undefined)
    throw refusal(
      429,
      'throttled',
      `The glass was broken ${MOST} times within a day: ask your privacy officer, who has been told of each`,
    );
  return until;
}

/** What the patient's organization is asked to look at. */
function review(
  practitioner: string,
  patient: string,
  reason: string,
  { managingOrganization }: Patient,
): Task {
  return {
    resourceType: 'Task',
    status: 'requested',
    intent: 'order',
    priority: 'urgent',
    code: {
      coding: [
        {
          system: 'http://terminology.hl7.org/CodeSystem/v3-ActReason',
          code: 'BTG',
          display: 'break the glass',
        },
      ],
      text: 'Review of emergency access',
    },
    description: reason,
    for: { reference: `Patient/${patient}` },
    authoredOn: new Date().toISOString(),
    requester: { reference: `Practitioner/${practitioner}` },
    ...(managingOrganization ? { owner: managingOrganization } : {}),
  };
}
