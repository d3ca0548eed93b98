/** Joins to what the index tells in part only (R4 search.html#chaining, #has, with :text, _text, _content and others). */
import { type Budget, newBudget, spend } from '../../src/records/judge.ts';
import { openTestRecords, type TestRecords } from '../support/records.ts';
import { observation, searching } from '../support/searching.ts';

let it: TestRecords;
const { put, set, count, pages } = searching(() => it);

const narrative = (inner: string) => ({
  text: { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml">${inner}</div>` },
});

beforeAll(async () => {
  it = await openTestRecords();
  const profile = (url: string) => ({ meta: { profile: [url] } });
  await put('Patient', 'ann', {
    ...narrative('Deep bone'),
    ...profile('http://a/deep/er'),
    name: [{ family: 'Ash' }],
  });
  await put('Patient', 'bob', {
    ...narrative('Liver'),
    ...profile('http://a/other'),
    name: [{ family: 'Birch' }],
  });
  await put('Group', 'all', { ...narrative('Bone'), type: 'person', actual: true });
  const about = (reference: string) => ({ subject: { reference } });
  const sugar = { coding: [{ code: 'g', display: 'Blutzucker' }] };
  await put('Observation', 'of-ann', observation(sugar, about('Patient/ann')));
  await put('Observation', 'of-bob', observation({ text: 'Zucker' }, about('Patient/bob')));
  await put('Observation', 'of-all', observation({ text: 'Other' }, about('Group/all')));
  await put(
    'Observation',
    'panel',
    observation({ text: 'Panel' }, { hasMember: [{ reference: 'Observation/of-ann' }] }),
  );
  await put('Encounter', 'e', {
    status: 'finished',
    class: { code: 'AMB' },
    participant: [{ individual: { reference: 'Practitioner/doc' } }],
  });
  await put('Practitioner', 'doc', { ...narrative('Surgeon of bones'), name: [{ family: 'Cedar' }] });
});
afterAll(() => it.close());

test.each([
  ['Observation', 'subject:Patient._text=bone', ['of-ann']],
  ['Observation', 'subject._text=bone', ['of-all', 'of-ann']],
  ['Observation', 'patient._content=liver', ['of-bob']],
  ['Observation', 'patient._profile:below=http://a/deep/', ['of-ann']],
  ['Observation', 'has-member.code:text=blut', ['panel']],
  ['Observation', 'has-member.patient._text=deep', ['panel']],
  ['Observation', 'has-member.code:text=blut&code:text=nothing', []],
  ['Observation', 'patient._text=bone&code:text=blut', ['of-ann']],
  ['Observation', 'patient._text=nothing', []],
  ['Observation', 'patient._filter=_text co "bone" or name eq birch', ['of-ann', 'of-bob']],
  ['Patient', '_has:Observation:patient:code:text=zuck', ['bob']],
  ['Patient', '_has:Observation:patient:code:text=none', []],
  ['Patient', '_has:Observation:patient:_has:Observation:has-member:code:text=panel', ['ann']],
  ['Practitioner', '_has:Encounter:practitioner:class=AMB&_text=bones', ['doc']],
  ['Encounter', 'practitioner._text=bones', ['e']],
  ['Encounter', 'practitioner._text=bones&_sort=status', ['e']],
  ['Encounter', '_filter=not (practitioner._text co "liver")', ['e']],
  // judged here, and decided there
  ['Observation', '_filter=patient.name eq birch or code ne g', ['of-bob']],
  [
    'Observation',
    '_filter=patient.name eq birch or _text co x or patient._text co deep&_sort=code',
    ['of-ann', 'of-bob'],
  ],
])('%s?%s', async (type, query, ids) => {
  expect(await set(type, query)).toEqual(ids);
  expect(await count(type, query)).toBe(ids.length);
});

test('their pages follow each other as all do, and what has changed meanwhile comes at their end', async () => {
  const found = await pages('Observation', '_filter=patient.name pr true or _text co "nothing"&_count=1');
  expect(found.map((page) => page.map(({ id }) => id))).toEqual([['of-bob'], ['of-ann']]);
});

test('more candidates than are looked at for one answer are refused', () => {
  const budget: Budget = newBudget();
  spend(budget, 20_000);
  expect(() => spend(budget, 1)).toThrow(/narrows it/);
});
