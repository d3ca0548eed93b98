/** Writes, which are judged on what is there and on what comes: a part of trials.ts. */
import type { Resource } from 'fhir/r4.js';
import type { Way } from './arbitrary.ts';
import { concernsOwn, givesOwn, namedOthers, type TokenModel } from './model.ts';
import type { Judging } from './trials.ts';

export async function tryWrite(
  { world, gone, token, ask, app, check, may, covered }: Judging,
  { kind, other }: Way,
  one: Resource,
): Promise<void> {
  const { resourceType: type, id } = one;
  const name = `${type}/${id}`;
  const end = (): void => {
    gone.set(name, one);
    world.delete(name);
  };
  const send = (method: 'post' | 'put', path: string, body: object) =>
    ask(method, path).type('application/fhir+json').send(JSON.stringify(body));
  /** The same about another patient, or to other people. */
  const moved = (): Resource => {
    const text = JSON.stringify(one).replace(
      /("reference":"(?:Patient|Practitioner)\/[^"]*-[pd])\d"/g,
      (_, start) => `${start}${other % 3}"`,
    );
    return JSON.parse(text);
  };
  /** The same addressed to who writes it, about whomever. */
  const imposed = (): Resource => {
    const patients = [...world.keys()].filter((key) => key.startsWith('Patient/'));
    const of = { reference: patients[other % patients.length] as string };
    const me = { reference: token.fhirUser ?? 'Practitioner/x' };
    const { meta } = one;
    return other % 2 === 0
      ? ({ resourceType: 'Task', meta, status: 'accepted', intent: 'order', for: of, owner: me } as Resource)
      : ({
          resourceType: 'Communication',
          meta,
          status: 'completed',
          subject: of,
          recipient: [me],
        } as Resource);
  };
  /** What opens a patient's records to somebody. */
  const opening = (): Resource => {
    const named = (type: string) => [...world.values()].filter((each) => each.resourceType === type);
    const pickOf = (among: readonly Resource[]) => {
      const { resourceType, id } = among[(other >> 2) % among.length] as Resource;
      return { reference: `${resourceType}/${id}` };
    };
    // Of whom something is seen: there it matters what is not.
    const known = named('Patient').filter((each) => may('s', each) || may('r', each));
    const of = pickOf(known.length > 0 ? known : named('Patient'));
    const to = pickOf(named(other % 3 === 0 ? 'Organization' : 'Practitioner'));
    const { meta } = world.get(of.reference) as Resource;
    const tagged = { meta: { tag: meta?.tag } };
    switch (other % 4) {
      case 0:
        return {
          resourceType: 'Task',
          ...tagged,
          status: 'requested',
          intent: 'order',
          for: of,
          owner: to,
        } as Resource;
      case 1:
        return {
          resourceType: 'CareTeam',
          ...tagged,
          status: 'active',
          subject: of,
          participant: [{ member: to }],
        } as Resource;
      case 2:
        return {
          resourceType: 'Consent',
          ...tagged,
          status: 'active',
          scope: { coding: [{ code: 'patient-privacy' }] },
          category: [{ text: 'x' }],
          patient: of,
          policyRule: { text: 'x' },
          provision: { type: 'permit', actor: [{ role: { text: 'x' }, reference: to }] },
        } as Resource;
      default:
        return { resourceType: 'RelatedPerson', ...tagged, patient: of, active: true } as Resource;
    }
  };
  switch (kind) {
    case 'give':
    case 'create': {
      const { id: _id, ...body } = kind === 'give' ? opening() : other % 3 === 0 ? imposed() : moved();
      const { status, body: made } = await send('post', `/${body.resourceType}`, body);
      const fresh = { ...body, id: 'new' } as Resource;
      const allowed =
        may('c', fresh) && concernsOwn(world, token, 'c', fresh) && givesOwn(world, token, fresh);
      check(`POST ${JSON.stringify(body)}`, status, allowed ? [201] : [403]);
      if (status === 201) world.set(`${body.resourceType}/${made.id}`, { ...body, id: made.id } as Resource);
      return;
    }
    case 'update':
    case 'move': {
      const body = kind === 'move' ? moved() : one;
      const { status } = await send('put', `/${name}`, body);
      const isChangeable = may('u', one);
      const isReadable = covered(type, 'r') && may('r', one);
      // What is shown in part would be lost.
      const isWholly = namedOthers(world, token, JSON.stringify(one)).length === 0;
      const allowed =
        isWholly &&
        isChangeable &&
        may('u', body) &&
        concernsOwn(world, token, 'u', body, one) &&
        givesOwn(world, token, body, one);
      const refused = !covered(type, 'u') ? [403] : !isChangeable ? (isReadable ? [403] : [404]) : [403];
      check(
        `PUT ${JSON.stringify(body)} over ${JSON.stringify(one)}`,
        status,
        token.scopes.every(isWhole) && !token.organizations ? [200, 201, 403] : allowed ? [200] : refused,
      );
      if (status === 200) world.set(name, body);
      return;
    }
    case 'delete': {
      const { status } = await ask('delete', `/${name}`);
      const isDeletable = may('d', one);
      const isReadable = covered(type, 'r') && may('r', one);
      check(
        `DELETE ${name}`,
        status,
        !covered(type, 'd') ? [403] : isDeletable || !isReadable ? [204] : [403],
      );
      const { status: left } = await app.send('get', `/${name}`);
      check(`what is left of ${name}`, left, covered(type, 'd') && isDeletable ? [410] : [200]);
      if (left === 410) end();
      return;
    }
    case 'conditional': {
      const { status } = await ask('delete', `/${type}?_id=${id}`);
      const isFound = may('s', one);
      const allowed = covered(type, 'd') && covered(type, 's');
      check(`DELETE ${type}?_id=${id}`, status, !allowed ? [403] : !isFound || may('d', one) ? [204] : [403]);
      const { status: left } = await app.send('get', `/${name}`);
      check(`what is left of ${name}`, left, allowed && isFound && may('d', one) ? [410] : [200]);
      if (left === 410) end();
      return;
    }
    default:
      throw new Error(kind);
  }
}

const isWhole = ({ level, code }: TokenModel['scopes'][number]): boolean =>
  level === 'system' && code === undefined;
