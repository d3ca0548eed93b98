/** The pages of a launch: which patient, and what the app may do. */
import { type EncounterView, PAGE, type PatientView } from '../patients.ts';
import type { Category, Described } from '../words.ts';
import { type Html, html } from './html.ts';
import { alert, page } from './layout.ts';

/** What the pages of one launch have in common. */
export interface LaunchPage {
  readonly root: string;
  /** path of the interaction */
  readonly path: string;
  readonly stamp: string;
  readonly app: string;
  readonly person: string;
  readonly fault?: string;
}

export interface PatientForm extends LaunchPage {
  readonly patients: readonly PatientView[];
  readonly name: string;
}

export function patientPage({ patients, name, ...common }: PatientForm): string {
  const { root, path, stamp, app } = common;
  return page(
    root,
    'Choose a patient',
    html`<p><strong>${app}</strong> will see the record of the one you choose.</p>`,
    alert(common.fault),
    html`<form method="get" action="${path}" class="search">
<label>Name <input name="name" type="search" value="${name}" autocomplete="off"></label>
<button>Search</button>
</form>
<form method="post" action="${path}/patient">
<input type="hidden" name="stamp" value="${stamp}">
<ul class="choices">${patients.map(
      (patient) => html`
<li><button name="patient" value="${patient.id}">${shownPatient(patient)}</button></li>`,
    )}
</ul>
</form>`,
    patients.length === 0 && html`<p>There is no patient of that name whose record you may open.</p>`,
    patients.length >= PAGE && html`<p class="small">There are more: search by name.</p>`,
    foot(common),
  );
}

/** A scope for resources, as it stands on the page. */
export interface Choice extends Described {
  /** number of the scope among those that were asked for */
  readonly index: number;
  readonly categories: readonly Category[];
  /** of all records that the person may open, not of one patient's */
  readonly ofAll: boolean;
}

export interface ConsentForm extends LaunchPage {
  readonly patient?: PatientView;
  /** to choose one of, where the app asks for a visit */
  readonly encounters?: readonly EncounterView[];
  readonly choices: readonly Choice[];
  /** number of the scope for access while the person is away, if that is asked for */
  readonly offline?: number;
  /** the app learns who the person is */
  readonly identity: boolean;
}

export function consentPage(form: ConsentForm): string {
  const { root, path, stamp, app, patient, encounters, choices, offline, identity } = form;
  return page(
    root,
    `Allow ${app}?`,
    alert(form.fault),
    patient && html`<p class="card">${shownPatient(patient)}</p>`,
    html`<form method="post" action="${path}/consent">
<input type="hidden" name="stamp" value="${stamp}">
${patient && html`<input type="hidden" name="patient" value="${patient.id}">`}`,
    encounters &&
      encounters.length > 0 &&
      html`<label>Visit <select name="encounter">${encounters.map(
        ({ id, says }) => html`<option value="${id}">${says}</option>`,
      )}</select></label>`,
    choicesIn(
      'this record',
      choices.filter(({ ofAll }) => !ofAll),
    ),
    choicesIn(
      'all records that you may open',
      choices.filter(({ ofAll }) => ofAll),
    ),
    identity && html`<p>It learns who you are: ${form.person}.</p>`,
    offline !== undefined &&
      html`<label class="tick"><input type="checkbox" name="scope" value="${offline}" checked>
<span><strong>Also while I am away.</strong> It keeps this access until you end it
at <a href="${root}/account" target="_blank" rel="noopener">your account</a>.</span></label>`,
    html`<div class="buttons"><button class="primary" name="decision" value="allow">Allow</button>
<button name="decision" value="deny" formnovalidate>Do not allow</button></div>
</form>`,
    foot(form),
  );
}

function choicesIn(records: string, choices: readonly Choice[]): Html | false {
  return (
    choices.length > 0 &&
    html`<fieldset><legend>It asks for this from <strong>${records}</strong>. Untick what it shall not have.</legend>
${choices.map(choice)}</fieldset>`
  );
}

function choice({ index, what, may, only, categories }: Choice): Html {
  return html`<div class="choice"><label class="tick"><input type="checkbox" name="scope" value="${index}" checked>
<span><strong>${what}</strong>${only && html`, ${only}`}<br><span class="may">${may}</span></span></label>
${
  categories.length > 0 &&
  html`<details><summary>Only some of it</summary>
<p class="small">Tick what it may have. With none ticked it gets all.</p>
${categories.map(
  ({ says }, i) =>
    html`<label class="tick"><input type="checkbox" name="only" value="${index}.${i}"> <span>${says}</span></label>`,
)}</details>`
}
</div>`;
}

function shownPatient({ name, birthDate, gender }: PatientView): Html {
  const details = [birthDate && `born ${birthDate}`, gender].filter(Boolean).join(', ');
  return html`<strong>${name}</strong>${details && html`<br><span class="small">${details}</span>`}`;
}

/** Who is signed in, and what to do where that is somebody else. */
function foot({ path, stamp, person }: LaunchPage): Html {
  return html`<form method="post" action="${path}/switch" class="foot">
<input type="hidden" name="stamp" value="${stamp}">
<p>Signed in as ${person}. <button class="link">Not you?</button></p>
</form>`;
}
