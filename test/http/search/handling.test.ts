/** Handling errors, strictly or not (R4 search.html#errors), by GET and by POST (http.html#search); sorting (#sort). */
import { encoded, type Resources, world } from './world.ts';

const FORM = 'application/x-www-form-urlencoded';
const PATIENTS: Resources = {
  'Patient/a': {
    name: [{ family: 'Zimmer' }, { family: 'Adler' }],
    gender: 'female',
    birthDate: '1990-01-01',
  },
  'Patient/b': { name: [{ family: 'berg' }], gender: 'male', birthDate: '1980-05' },
  'Patient/c': { name: [{ family: 'Çelik' }], birthDate: '1990-01-02' },
  'Patient/d': { gender: 'male' },
};

const { app, finds, refuses, ids } = world(PATIENTS);

const ALL = 'a b c d';
finds('R4 search.html#errors: an empty value is ignored', 'Patient', [
  ['name=', ALL],
  ['name', ALL],
  ['name=&gender=', ALL],
  ['shoe=', ALL],
  ['gender=male&name=', 'b d'],
  ['gender=male,', 'b d'],
  ['gender=,male', 'b d'],
  ['gender=male,,female', 'a b d'],
  ['_id=&_sort=&_count=&_total=', ALL],
  ['', ALL],
]);

finds('R4 search.html#errors: what nothing can match is no error', 'Patient', [
  ['gender=none', ''],
  ['_id=101', ''],
  ['identifier=urn:none|1', ''],
  ['birthdate=le1800', ''],
  ['general-practitioner=Practitioner/none', ''],
  ['general-practitioner:Practitioner.name=none', ''],
  ['language=urn:none|xx', ''],
]);

refuses('R4 search.html#errors: what is unknown is said, with what was meant', 'Patient', [
  ['shoe=1', 'not-supported', /Patient has no search parameter "shoe": did you mean "phone"\?/],
  ['xyzzy=1', 'not-supported', /possible are .*birthdate.*_count/],
  ['brithdate=1990', 'not-supported', /did you mean "birthdate"\?/],
  ['Name=x', 'not-supported', /did you mean "name"\?/],
  ['gendre=male', 'not-supported', /did you mean "gender"\?/],
  ['_counts=5', 'not-supported', /did you mean "_count"\?/],
  ['_lastupdated=2020', 'not-supported', /did you mean "_lastUpdated"\?/],
  ['code=x', 'not-supported', /Patient has no search parameter "code"/],
  ['shoe:exact=1', 'not-supported', /no search parameter "shoe"/],
  ['shoe.name=1', 'not-supported', /no search parameter "shoe"/],
  ['_offset=20', 'not-supported', /no search parameter "_offset"/],
  ['_count=x', 'value', /whole number/],
  ['_count=1.5', 'value', /whole number/],
  ['_count=5&_count=6', 'value', /stands twice/],
  ['_sort=shoe', 'value', /cannot be shoe for Patient: possible are .*family/],
  ['_sort=--family', 'value', /cannot be -family/],
  ['_sort=family:exact', 'value', /cannot be family:exact/],
  ['_sort=_score', 'value', /cannot be _score/],
  ['_sort=a,b,c,d,e,f', 'too-costly', /5 parameters/],
  ['_summary=short', 'value', /true, text, data, count or false/],
  ['_summary=text&_include=Patient:organization', 'value', /cannot be text/],
  ['_elements=shoe', 'value', /shoe/],
  ['_include=Patient:shoe', 'value', /no reference of Patient/],
]);

describe('R4 search.html#errors: Prefer: handling', () => {
  const asked = async (query: string, handling: string) => {
    const { status, body } = await app()
      .send('get', `/Patient?${encoded(query)}`)
      .set('Prefer', `handling=${handling}`);
    return status === 200
      ? [body.entry?.length ?? 0, body.link[0].url.slice(`${app().base}/Patient`.length)]
      : status;
  };

  test.each([
    ['shoe=12&gender=male', [2, '?gender=male']],
    ['gender=male&shoe=12&hat=1', [2, '?gender=male']],
    ['gendre=male', [4, '']],
    ['shoe:exact=1&gender=female', [1, '?gender=female']],
    ['shoe.name=1&gender=female', [1, '?gender=female']],
    ['organization.shoe=1&gender=female', [1, '?gender=female']],
    ['_has:Observation:patient:shoe=1&gender=female', [1, '?gender=female']],
    ['gender=male&name=', [2, '?gender=male']],
    // what is known and wrong is refused either way
    ['gender:fuzzy=male', 400],
    ['birthdate=1980-13', 400],
    ['birthdate=xx1980', 400],
    ['_count=x', 400],
    ['_sort=shoe', 400],
    ['name=a\\b', 400],
    ['organization:Shoe.name=x', 400],
  ])('lenient leaves out what is unknown, and self says so: %s', async (query, expected) => {
    expect(await asked(query, 'lenient')).toEqual(expected);
  });

  test.each(['shoe=12', 'gender:fuzzy=male', 'birthdate=1980-13'])('strict refuses: %s', async (query) => {
    expect(await asked(query, 'strict')).toBe(400);
    expect(await asked(query, 'other')).toBe(400);
  });
});

describe('R4 http.html#search: POST is the same as GET', () => {
  const posted = (path: string, body: string) => app().send('post', path).type(FORM).send(body);

  test.each([
    ['/Patient/_search', 'gender=male', 'b d'],
    ['/Patient/_search?gender=male', '', 'b d'],
    ['/Patient/_search?gender=male', 'birthdate=1980', 'b'],
    ['/Patient/_search?gender=male', 'gender=female', ''],
    ['/Patient/_search', 'gender=male&gender=female', ''],
    ['/Patient/_search', 'family=%C3%A7elik', 'c'],
    ['/Patient/_search', 'family=zim+&gender=female', 'a'],
    ['/Patient/_search', '_id=a%2Cb,c', 'a b c'],
    ['/Patient/_search', 'name=', ALL],
    ['/Patient/_search', '', ALL],
    ['/_search?_type=Patient', '_id=a', 'a'],
    ['/_search', '_type=Patient&gender=male', 'b d'],
  ])('%s with %s: %s', async (path, body, expected) => {
    const { body: bundle } = await posted(path, body).expect(200);
    const found = (bundle.entry ?? []).map(({ resource }: { resource: { id: string } }) => resource.id);
    expect(found.sort()).toEqual(expected.split(' ').filter(Boolean));
  });

  test.each([
    ['/Patient/_search', 'shoe=1', /did you mean|no search parameter "shoe"/],
    ['/Patient/_search', 'birthdate=never', /must be a date/],
    ['/Patient/_search', 'name=%zz', /bad percent escape/],
    ['/Patient/_search?_count=1', '_count=2', /stands twice/],
  ])('%s with %s is 400', async (path, body, says) => {
    const { body: outcome } = await posted(path, body).expect(400);
    expect(outcome.issue[0].diagnostics).toMatch(says);
  });
});

describe('R4 search.html#sort: several keys, absent values last, of repeating ones the first in that order', () => {
  test.each([
    ['family', 'a b c d'],
    ['-family', 'a c b d'],
    ['birthdate', 'b a c d'],
    ['-birthdate', 'c a b d'],
    ['gender,birthdate', 'a b d c'],
    ['-gender,-birthdate', 'b d a c'],
    ['_id', 'a b c d'],
    ['-_id', 'd c b a'],
    ['name', 'a b c d'],
    ['gender,-_id', 'a d b c'],
  ])('_sort=%s: %s, on any pages', async (sort, order) => {
    for (const count of [20, 3, 1])
      expect((await ids('Patient', `_sort=${sort}&_count=${count}`)).join(' ')).toBe(order);
  });
});
