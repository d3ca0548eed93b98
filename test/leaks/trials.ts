/** Requests of random tokens over random worlds; what they show, and what they do, is what the judge says. */
import fc from 'fast-check';
import type { Bundle, Resource } from 'fhir/r4.js';
import type { Test } from 'supertest';
import { type Asking, asked, tokenFor } from '../http/access/tokens.ts';
import type { TestApp } from '../http/app.ts';
import { dicomwebOf } from '../http/imaging/dicomweb.ts';
import { image } from '../imaging/files.ts';
import { MRN, SEARCHED, scopeText, tokenOf, type Way, way, worldOf } from './arbitrary.ts';
import {
  aboutOf,
  isAllowed,
  isCovered,
  type Letter,
  mayReadBytes,
  namedOthers,
  type TokenModel,
} from './model.ts';
import { ownerOf, tryMore } from './more.ts';
import { tryWrite } from './writes.ts';

export interface Tally {
  requests: number;
  /** of them shown something, or done something */
  allowed: number;
  /** what differed from what the judge says */
  readonly wrong: string[];
}

export interface Trying {
  readonly seed: number;
  readonly requests: number;
  readonly progress?: (tally: Tally) => void;
}

/** of the server that is tried */
export const SETTINGS = { DICOM_ISSUERS: `*=${MRN}` };

const TOKENS = 4;
const WAYS = 12;

export async function tryAll(app: TestApp, { seed, requests, progress }: Trying): Promise<Tally> {
  const tally: Tally = { requests: 0, allowed: 0, wrong: [] };
  for (let n = 0; tally.requests < requests && tally.wrong.length < 20; n++) {
    const name = `w${seed}x${n}`;
    const sample = <T>(arbitrary: fc.Arbitrary<T>, count: number, of: number): T[] =>
      fc.sample(arbitrary, { seed: seed * 1_000_003 + n * 101 + of, numRuns: count });
    const [made] = sample(worldOf(name), 1, 0);
    const world = new Map((made?.resources ?? []).map((one) => [`${one.resourceType}/${one.id}`, one]));
    await write(app, [...world.values()]);
    const binaries = new Map([...world].filter(([key]) => key.startsWith('Binary/')));
    for (const key of binaries.keys()) world.delete(key);
    const began = new Map(world);
    for (const one of made?.late ?? []) world.set(`${one.resourceType}/${one.id}`, one);
    await write(app, made?.late ?? []);
    const studies = new Map<string, string>();
    for (const [i, patient] of (made?.studies ?? []).entries()) {
      const study = await writeStudy(app, name, { uid: `1.2.${seed}.${n}.${i + 1}`, patient });
      world.set(`ImagingStudy/${study.id}`, study);
      studies.set(`1.2.${seed}.${n}.${i + 1}`, `ImagingStudy/${study.id}`);
    }
    const gone = new Map<string, Resource>();
    const tokens = sample(tokenOf(name), TOKENS, 1);
    for (const [i, token] of tokens.entries()) {
      const { scopes, ...launch } = token;
      const bearer = await tokenFor(app, scopes.map(scopeText).join(' '), launch);
      const ask = asked(app, bearer);
      const dicomweb = (path: string) => dicomwebOf(() => app).send('get', path, bearer);
      const of = { app, name, world, began, gone, binaries, studies, token, ask, dicomweb, tally };
      for (const one of sample(way, WAYS, 2 + i)) {
        await tryOne(of, one);
        progress?.(tally);
      }
    }
  }
  return tally;
}

interface Trial {
  readonly app: TestApp;
  readonly name: string;
  readonly world: Map<string, Resource>;
  /** what one request has written, as it was then */
  readonly began: ReadonlyMap<string, Resource>;
  /** what was deleted, as it was before */
  readonly gone: Map<string, Resource>;
  readonly binaries: ReadonlyMap<string, Resource>;
  /** their ImagingStudy, by UID */
  readonly studies: ReadonlyMap<string, string>;
  readonly token: TokenModel;
  readonly ask: Asking;
  /** a path under /dicomweb */
  readonly dicomweb: (path: string) => Test;
  readonly tally: Tally;
}

/** A trial, with what judges its answers. */
export interface Judging extends Trial {
  readonly check: (what: string, status: number, expected: readonly number[]) => void;
  readonly wrong: (what: string) => void;
  readonly may: (letter: Letter, resource: Resource) => boolean;
  readonly covered: (type: string, letter: Letter) => boolean;
}

async function write(app: TestApp, resources: readonly Resource[]): Promise<void> {
  const entry = resources.map((resource) => ({
    resource,
    request: { method: 'PUT', url: `${resource.resourceType}/${resource.id}` },
  }));
  const written = await app
    .send('post', '/')
    .type('application/fhir+json')
    .send({ resourceType: 'Bundle', type: 'transaction', entry });
  if (written.status !== 200) throw new Error(`a world is refused: ${written.text}`);
}

/** Stores a DICOM file, and tags the ImagingStudy that comes of it. */
async function writeStudy(
  app: TestApp,
  world: string,
  { uid, patient }: { readonly uid: string; readonly patient: string },
): Promise<Resource> {
  const file = image({ study: uid, series: `${uid}.1`, instance: `${uid}.1.1`, patient });
  const { stored } = await dicomwebOf(() => app).stow([file]);
  if (stored.length !== 1) throw new Error(`a study of ${patient} is refused`);
  const { body } = await app.send('get', `/ImagingStudy?identifier=urn:dicom:uid|urn:oid:${uid}`);
  const [found] = (body as Bundle).entry ?? [];
  const study = found?.resource as Resource;
  const tagged = { ...study, meta: { tag: [{ code: world }] } };
  await app.send('put', `/ImagingStudy/${study.id}`).type('application/fhir+json').send(tagged).expect(200);
  return tagged;
}

async function tryOne(trial: Trial, { kind, pick, other }: Way): Promise<void> {
  const { world, token, ask, tally, name } = trial;
  tally.requests++;
  const all = [...world.values()];
  // What is addressed to somebody is where strangers could write.
  const addressed = all.filter((each) =>
    ['Appointment', 'Communication', 'Task'].includes(each.resourceType),
  );
  const among =
    (kind === 'create' || kind === 'move') && other % 2 === 0 && addressed.length > 0 ? addressed : all;
  const one = among[pick % among.length] as Resource;
  const { resourceType: type, id } = one;
  const may = (letter: Letter, resource: Resource): boolean => isAllowed(world, token, letter, resource);
  const covered = (of: string, letter: Letter): boolean => isCovered(world, token, of, letter);
  const wrong = (what: string): void => {
    const scopes = token.scopes.map(scopeText).join(' ');
    tally.wrong.push(
      `${kind} ${what}\n  by ${scopes} of ${token.fhirUser ?? token.organizations} for ${token.patient}`,
    );
  };
  const check = (what: string, status: number, expected: readonly number[]): void => {
    if (status < 300) tally.allowed++;
    if (!expected.includes(status)) wrong(`${what}: ${status}, and not ${expected.join(' or ')}`);
  };
  const shown = ({ entry = [] }: Bundle): string[] =>
    entry.flatMap(({ resource }) => (resource ? `${resource.resourceType}/${resource.id}` : [])).sort();
  const compare = (what: string, body: Bundle, expected: readonly string[]): void => {
    const got = shown(body).join(' ');
    if (got !== '') tally.allowed++;
    const wanted = [...expected].sort().join(' ');
    if (got !== wanted) wrong(`${what}:\n  shows  ${got}\n  and not ${wanted}`);
  };
  const of = (of: string): Resource[] => all.filter(({ resourceType }) => resourceType === of);
  const key = (resource: Resource): string => `${resource.resourceType}/${resource.id}`;
  const visible = (of_: string, letter: Letter): Resource[] => of(of_).filter((each) => may(letter, each));
  const searched = SEARCHED[other % SEARCHED.length] as string;
  const tag = `_tag=${name}&_count=500`;

  switch (kind) {
    case 'read':
    case 'vread':
    case 'history': {
      const path = `/${type}/${id}${kind === 'vread' ? '/_history/1' : kind === 'history' ? '/_history' : ''}`;
      const { status, text } = await ask('get', path);
      const others = status === 200 ? namedOthers(world, token, text) : [];
      if (others.length > 0) wrong(`${path} names ${others}`);
      // The first version may be another one than the newest.
      if (kind === 'vread' && status === 404) return;
      return check(path, status, !covered(type, 'r') ? [403] : may('r', one) ? [200] : [404]);
    }
    case 'search': {
      const answer = await ask('get', `/${searched}?${tag}`);
      const others = namedOthers(world, token, answer.text);
      if (answer.status === 200 && others.length > 0) wrong(`${searched} names ${others}`);
      if (!covered(searched, 's')) return check(searched, answer.status, [403]);
      return compare(searched, answer.body, visible(searched, 's').map(key));
    }
    case 'count': {
      const { status, body } = await ask('get', `/${searched}?_tag=${name}&_summary=count`);
      if (!covered(searched, 's')) return check(searched, status, [403]);
      const expected = visible(searched, 's').length;
      if (body.total !== expected) wrong(`${searched}: counts ${body.total} and not ${expected}`);
      return;
    }
    case 'chain': {
      const answer = await ask(
        'get',
        `/Observation?subject:Patient._tag=${name}&subject:Patient.family=name1&${tag}`,
      );
      if (!covered('Observation', 's') || !covered('Patient', 's'))
        return check('Observation?subject:Patient.family', answer.status, [403]);
      const named = new Set(
        visible('Patient', 's')
          .filter((each) => JSON.stringify(each).includes('"name1"'))
          .map(key),
      );
      return compare(
        'Observation?subject:Patient.family',
        answer.body,
        visible('Observation', 's')
          .filter((each) => aboutOf(each).some((patient) => named.has(patient)))
          .map(key),
      );
    }
    case 'has': {
      const answer = await ask('get', `/Patient?_has:Observation:patient:code=hiv&${tag}`);
      if (!covered('Observation', 's') || !covered('Patient', 's'))
        return check('Patient?_has:Observation', answer.status, [403]);
      const having = new Set(
        visible('Observation', 's')
          .filter((each) => JSON.stringify(each).includes('"hiv"'))
          .flatMap(aboutOf),
      );
      return compare(
        'Patient?_has:Observation',
        answer.body,
        visible('Patient', 's')
          .filter((each) => having.has(key(each)))
          .map(key),
      );
    }
    case 'include': {
      const answer = await ask(
        'get',
        `/Observation?_include=Observation:subject&_include=Observation:performer&${tag}`,
      );
      if (!covered('Observation', 's')) return check('Observation?_include', answer.status, [403]);
      const matches = visible('Observation', 's');
      const led = new Set(
        matches.flatMap((each) =>
          [...JSON.stringify(each).matchAll(/"reference":"([^"]+)"/g)].map(
            ([, reference]) => reference as string,
          ),
        ),
      );
      const included = all.filter((each) => led.has(key(each)) && may('r', each)).map(key);
      return compare('Observation?_include', answer.body, [...matches.map(key), ...included]);
    }
    case 'revinclude': {
      const answer = await ask(
        'get',
        `/Patient?_revinclude=Observation:patient&_revinclude=Device:patient&_revinclude=Task:patient&${tag}`,
      );
      if (!covered('Patient', 's')) return check('Patient?_revinclude', answer.status, [403]);
      const matches = new Set(visible('Patient', 's').map(key));
      const included = all.filter(
        (each) =>
          ['Observation', 'Device', 'Task'].includes(each.resourceType) &&
          aboutOf(each).some((patient) => matches.has(patient)) &&
          may('r', each),
      );
      return compare('Patient?_revinclude', answer.body, [...matches, ...included.map(key)]);
    }
    case 'everything': {
      const patient = of('Patient')[other % 4] as Resource | undefined;
      if (!patient) return;
      const { status, body } = await ask('get', `/Patient/${patient.id}/$everything`);
      if (!covered('Patient', 'r')) return check('$everything', status, [403]);
      check('$everything', status, may('r', patient) ? [200] : [404]);
      if (status !== 200) return;
      for (const name_ of shown(body)) {
        // The directory is not this world's.
        if (name_.startsWith('Endpoint/')) continue;
        const binary = trial.binaries.get(name_);
        if (binary) {
          if (!mayReadBytes(world, token, binary, ownerOf(world, binary)))
            wrong(`$everything shows ${name_}`);
          continue;
        }
        const resource = world.get(name_);
        if (!resource || !(may('s', resource) || may('r', resource))) wrong(`$everything shows ${name_}`);
      }
      return;
    }
    case 'batch': {
      const bundle = {
        resourceType: 'Bundle',
        type: 'batch',
        entry: [
          { request: { method: 'GET', url: `${type}/${id}` } },
          { request: { method: 'GET', url: `${searched}?${tag}` } },
        ],
      };
      const { body } = await ask('post', '/').type('application/fhir+json').send(bundle);
      const [read, found] = (body as Bundle).entry ?? [];
      check(
        `GET ${type}/${id} in a batch`,
        Number(read?.response?.status.slice(0, 3)),
        !covered(type, 'r') ? [403] : may('r', one) ? [200] : [404],
      );
      if (!covered(searched, 's'))
        return check(`${searched} in a batch`, Number(found?.response?.status.slice(0, 3)), [403]);
      return compare(`${searched} in a batch`, found?.resource as Bundle, visible(searched, 's').map(key));
    }
    case 'create':
    case 'update':
    case 'move':
    case 'delete':
    case 'conditional':
    case 'give':
      return tryWrite({ ...trial, check, wrong, may, covered }, { kind, pick, other }, one);
    default:
      return tryMore({ ...trial, check, wrong, may, covered }, kind, pick);
  }
}
