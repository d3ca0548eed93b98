/** Ways to what is no search: bytes, pictures, images, and the trail of who wrote and was shown what (trials.ts). */
import type { Binary, Bundle, Media, Parameters, Provenance, Resource } from 'fhir/r4.js';
import request, { type Response } from 'supertest';
import { aboutOf, isAllowed, isCovered, type Letter, mayReadBytes, namedOthers } from './model.ts';
import type { Judging } from './trials.ts';

const key = ({ resourceType, id }: Resource): string => `${resourceType}/${id}`;

/** What a way is about, chosen of what there is. */
export async function tryMore(judging: Judging, kind: string, pick: number): Promise<void> {
  switch (kind) {
    case 'bytes':
      return bytes(judging, pick);
    case 'picture':
      return picture(judging, pick);
    case 'gallery':
      return gallery(judging, pick);
    case 'image':
      return image(judging, pick);
    case 'images':
      return images(judging);
    case 'provenance':
      return provenance(judging, pick);
    case 'events':
      return events(judging, pick);
    case 'typeHistory':
      return typeHistory(judging, pick);
    default:
      throw new Error(kind);
  }
}

const of = <T extends Resource>({ world }: Judging, type: string): T[] =>
  [...world.values()].filter(({ resourceType }) => resourceType === type) as T[];

const may = ({ world, token }: Judging, letter: Letter, one: Resource): boolean =>
  isAllowed(world, token, letter, one);

/** The Media that a Binary belongs to: the first that referred to it. */
export const ownerOf = (world: Judging['world'], { id }: Resource): Resource | undefined =>
  world.get(`Media/${id?.replace(/-b(\d)$/, '-m$1')}`);

/** The Binary that a Media shows, and the Media that it belongs to. */
function shownBy({ world, binaries }: Judging, { content }: Media) {
  const binary = binaries.get(content.url as string) as Binary;
  return { binary, owner: ownerOf(world, binary) };
}

function statusOf({ world, token }: Judging, type: string, isAllowedTo: boolean): readonly number[] {
  if (!isCovered(world, token, type, 'r')) return [403];
  return isAllowedTo ? [200, 206] : [404];
}

/** A link that was given leads its token, and nobody else, to what it is for. */
async function follow(judging: Judging, what: string, { body }: Response): Promise<void> {
  const url = (body as Parameters).parameter?.find(({ name }) => name === 'url')?.valueUrl;
  if (url === undefined) return judging.wrong(`${what}: no url`);
  const answer = await request(judging.app.url).get(url.replace(judging.app.base, '/fhir'));
  judging.check(`${what}, followed`, answer.status, [200]);
}

/** A Binary itself, as FHIR and as bytes, a part of it, its content, and a link to it. */
async function bytes(judging: Judging, pick: number): Promise<void> {
  const { ask, world, token, check } = judging;
  const media = of<Media>(judging, 'Media').filter(({ id }) => /-m\d$/.test(id ?? ''));
  const one = media[pick % media.length];
  if (!one) return;
  const { binary, owner } = shownBy(judging, one);
  const allowed = statusOf(judging, 'Binary', mayReadBytes(world, token, binary, owner));
  const path = `/Binary/${binary.id}`;
  check(path, (await ask('get', path)).status, allowed);
  const part = await ask('get', path).set('Accept', 'text/plain').set('Range', 'bytes=0-3');
  check(`${path} in part`, part.status, allowed);
  check(`${path}/$content`, (await ask('get', `${path}/$content`)).status, allowed);
  const link = await ask('get', `${path}/$link`);
  check(`${path}/$link`, link.status, allowed);
  if (link.status === 200) await follow(judging, `${path}/$link`, link);
}

/** What a Media shows takes the leave to read both. */
async function picture(judging: Judging, pick: number): Promise<void> {
  const { ask, world, token, check } = judging;
  const media = of<Media>(judging, 'Media');
  const one = media[pick % media.length];
  if (!one) return;
  const { binary, owner } = shownBy(judging, one);
  const ofBytes = statusOf(judging, 'Binary', mayReadBytes(world, token, binary, owner));
  const ofMedia = statusOf(judging, 'Media', may(judging, 'r', one));
  const allowed = ofMedia.includes(200) ? ofBytes : ofMedia;
  const path = `/Media/${one.id}`;
  check(`${path}/$content`, (await ask('get', `${path}/$content`)).status, allowed);
  const link = await ask('get', `${path}/$link`);
  check(`${path}/$link`, link.status, allowed);
  if (link.status === 200) await follow(judging, `${path}/$link`, link);
}

async function gallery(judging: Judging, pick: number): Promise<void> {
  const { ask, app, world, token, check, wrong, covered } = judging;
  const patients = of(judging, 'Patient');
  const patient = patients[pick % patients.length];
  if (!patient) return;
  const path = `/Patient/${patient.id}/$gallery`;
  const { status, body, text } = await ask('get', path);
  const allowed = !covered('Patient', 'r')
    ? [403]
    : !may(judging, 'r', patient)
      ? [404]
      : covered('Media', 's')
        ? [200]
        : [403];
  // What is said first is not the rule: neither tells more.
  check(path, status, !covered('Media', 's') ? [403, 404] : allowed);
  if (status !== 200) return;
  const others = namedOthers(world, token, text);
  if (others.length > 0) wrong(`${path} names ${others}`);
  const shown = ((body as Parameters).parameter ?? []).filter(({ name }) => name === 'picture');
  const names = shown.map(
    ({ part }) => part?.find(({ name }) => name === 'source')?.valueReference?.reference,
  );
  const expected = of<Media>(judging, 'Media').filter(
    (one) => may(judging, 's', one) && aboutOf(one).includes(key(patient)),
  );
  if (names.sort().join(' ') !== expected.map(key).sort().join(' '))
    wrong(`${path} shows ${names} and not ${expected.map(key)}`);
  for (const { part } of shown) {
    const value = (wanted: string) => part?.find((one) => one.name === wanted);
    const media = world.get(value('source')?.valueReference?.reference as string) as Media | undefined;
    // Told of already.
    if (!media) continue;
    const url = value('content')?.valueUrl;
    const { binary, owner } = shownBy(judging, media);
    const isOpen = may(judging, 'r', media) && mayReadBytes(world, token, binary, owner);
    if (isOpen !== (url !== undefined)) wrong(`${path} ${url ? 'links to' : 'has no link to'} ${key(media)}`);
    if (!url) continue;
    const answer = await request(app.url).get(url.replace(app.base, '/fhir'));
    check(`${path}, followed`, answer.status, [200]);
  }
}

/** DICOMweb: what a study has is for whoever may read its ImagingStudy. */
const WADO = [
  '',
  '/metadata',
  '/series/UID.1',
  '/series/UID.1/instances/UID.1.1',
  '/series/UID.1/instances/UID.1.1/rendered',
  '/thumbnail',
];

async function image(judging: Judging, pick: number): Promise<void> {
  const { dicomweb, studies, check, covered } = judging;
  const uids = [...studies.keys()];
  const uid = uids[pick % uids.length];
  if (uid === undefined) return;
  const study = judging.world.get(studies.get(uid) as string);
  const way = (WADO[pick % WADO.length] as string).replaceAll('UID', uid);
  const allowed = !covered('ImagingStudy', 'r')
    ? [403]
    : study && may(judging, 'r', study)
      ? [200]
      : isOfOne(judging)
        ? [403]
        : [404];
  check(`/studies/${uid}${way}`, (await dicomweb(`/studies/${uid}${way}`)).status, allowed);
}

/** Whoever has access to one patient alone is told alike of studies of others and of none. */
const isOfOne = ({ token }: Judging): boolean =>
  token.patient !== undefined &&
  token.fhirUser !== undefined &&
  token.scopes.every(({ level }) => level === 'patient');

async function images(judging: Judging): Promise<void> {
  const { dicomweb, studies, check, covered, wrong } = judging;
  for (const level of ['studies', 'series', 'instances']) {
    const { status, body } = await dicomweb(`/${level}?PatientID=${judging.name}-*`);
    check(`/${level}`, status, covered('ImagingStudy', 's') ? [200] : [403]);
    if (status !== 200) continue;
    const found = JSON.parse(body.toString()).map(
      (one: Record<string, { Value: string[] }>) => one['0020000D']?.Value[0],
    );
    const expected = [...studies].flatMap(([uid, name]) => {
      const study = judging.world.get(name);
      return study && may(judging, 's', study) ? uid : [];
    });
    if (found.sort().join(' ') !== expected.sort().join(' '))
      wrong(`/${level} shows ${found} and not ${expected}`);
  }
}

const namedIn = ({ target }: Provenance): string[] =>
  target.flatMap(({ reference }) => reference?.replace(/\/_history\/\d+$/, '') ?? []);

/** Who wrote what: seen by whoever may read what it is about, which alone it names. */
async function provenance(judging: Judging, pick: number): Promise<void> {
  const { ask, began, world, token, check, wrong, covered, name } = judging;
  const all = [...began.values()].filter((one) => world.get(key(one)) === one);
  const one = all[pick % all.length];
  if (!one) return;
  const judge = (provenances: readonly Provenance[]): void => {
    for (const each of provenances)
      for (const named of namedIn(each)) {
        // What was deleted is as it was.
        const target = world.get(named) ?? judging.gone.get(named);
        if (!target) continue;
        if (!may(judging, 'r', target)) wrong(`Provenance/${each.id} names ${named}`);
      }
  };
  const query = `/Provenance?target=${key(one)}&_count=100`;
  const { status, body, text } = await ask('get', query);
  const isAnothers =
    isOfOne(judging) && one.resourceType === 'Patient' && key(one) !== `Patient/${token.patient}`;
  if (!covered('Provenance', 's') || isAnothers) return check(query, status, [403]);
  check(query, status, [200]);
  const found = ((body as Bundle<Provenance>).entry ?? []).flatMap(({ resource }) => resource ?? []);
  judge(found);
  const others = namedOthers(world, token, text);
  if (others.length > 0) wrong(`${query} names ${others}`);
  // One of the request that made the world: about all whom what is seen of it is about.
  const about = all.filter((each) => may(judging, 'r', each)).flatMap(aboutOf);
  const first = { resourceType: 'Provenance', about } as unknown as Resource;
  const isSeen = may(judging, 'r', one) && may(judging, 's', first);
  if (isSeen && found.length === 0) wrong(`${query} shows nothing`);
  if (!may(judging, 'r', one) && found.some((each) => namedIn(each).includes(key(one))))
    wrong(`${query} shows it`);
  const [known] = found;
  if (known)
    check(
      `/Provenance/${known.id}`,
      (await ask('get', `/Provenance/${known.id}`)).status,
      covered('Provenance', 'r') ? [200, 404] : [403],
    );

  const page = await ask('get', `/Observation?_tag=${name}&_count=500&_revinclude=Provenance:target`);
  if (page.status !== 200) return;
  judge(
    ((page.body as Bundle).entry ?? []).flatMap(({ resource }) =>
      resource?.resourceType === 'Provenance' ? [resource as Provenance] : [],
    ),
  );
}

/** Who was shown what: about patients whose records are one's own, and naming no others. */
async function events(judging: Judging, pick: number): Promise<void> {
  const { ask, world, token, check, wrong, covered } = judging;
  const patients = of(judging, 'Patient');
  const patient = patients[pick % patients.length];
  if (!patient) return;
  const isWhole = token.scopes.some(({ level }) => level === 'system') && !token.organizations;
  // At least one entry is there.
  await judging.app.send('get', `/${key(patient)}`);
  const event = { resourceType: 'AuditEvent', about: [key(patient)] } as unknown as Resource;
  const query = `/AuditEvent?patient=${key(patient)}&_count=20`;
  const { status, body, text } = await ask('get', query);
  if (!covered('AuditEvent', 's')) return check(query, status, [403]);
  // A search in the records of one patient that names another is refused.
  const isAnothers = isOfOne(judging) && key(patient) !== `Patient/${token.patient}`;
  check(query, status, isAnothers ? [403] : [200]);
  if (status !== 200) return;
  const found = (body as Bundle).entry ?? [];
  if (isWhole) return;
  const seen = may(judging, 's', event);
  if (!seen && found.length > 0) wrong(`${query} shows ${found.length}`);
  if (seen && found.length === 0) wrong(`${query} shows nothing`);
  const others = namedOthers(world, token, text);
  if (others.length > 0) wrong(`${query} names ${others}`);
  const any = await ask('get', '/AuditEvent?_count=20');
  const strangers = namedOthers(world, token, any.text);
  if (strangers.length > 0) wrong(`/AuditEvent names ${strangers}`);
  const [first] = found;
  if (first?.resource)
    check(
      `/${key(first.resource)}`,
      (await ask('get', `/${key(first.resource)}`)).status,
      covered('AuditEvent', 'r') ? [200, 404] : [403],
    );
}

/** Versions of a type: of what one may find now, and could then; page by page, none twice and none lost. */
async function typeHistory(judging: Judging, pick: number): Promise<void> {
  const { ask, app, world, token, check, wrong, covered } = judging;
  const type = ['Observation', 'Task', 'Communication', 'Media'][pick % 4] as string;
  const seen: string[] = [];
  let path: string | undefined = `/${type}/_history?_count=7`;
  for (let pages = 0; path !== undefined && pages < 30; pages++) {
    const answer: Response = await ask('get', path);
    if (!covered(type, 's')) return check(path, answer.status, [403]);
    check(path, answer.status, [200]);
    const others = namedOthers(world, token, answer.text);
    if (others.length > 0) wrong(`${path} names ${others}`);
    const { entry = [], link = [] } = answer.body as Bundle;
    const next = link.find(({ relation }) => relation === 'next')?.url;
    if (next && entry.length < 7) wrong(`${path} has ${entry.length} and goes on`);
    seen.push(...entry.map(({ fullUrl, response }) => `${fullUrl} ${response?.etag}`));
    for (const { resource } of entry)
      if (resource && world.has(key(resource)) && !may(judging, 's', world.get(key(resource)) as Resource))
        wrong(`${path} shows ${key(resource)}`);
    path = next?.replace(app.base, '');
    // Worlds before this one are there, too.
    if (entry.length > 0 && !JSON.stringify(entry).includes(judging.name)) break;
  }
  if (new Set(seen).size < seen.length) wrong(`/${type}/_history repeats`);
  if (judging.token.organizations === undefined && judging.token.fhirUser === undefined) return;
  for (const one of of(judging, type))
    if (may(judging, 's', one) && !seen.some((each) => each.includes(`/${key(one)} `)))
      wrong(`/${type}/_history does not show ${key(one)}`);
}
