/** Dates (R4 search.html#date, #prefix): ranges against ranges, whatever the precision of either. */
import { type Resources, world } from './world.ts';

const at = (effective: object): object => ({ status: 'final', code: { text: 'x' }, ...effective });
const time = (effectiveDateTime: string): object => at({ effectiveDateTime });
const period = (start?: string, end?: string): object => at({ effectivePeriod: { start, end } });

const OBSERVATIONS: Resources = {
  // around a year
  'Observation/y1989': time('1989'),
  'Observation/d1989': time('1989-12-31'),
  'Observation/y1990': time('1990'),
  'Observation/m1990': time('1990-06'),
  'Observation/d1990': time('1990-06-15'),
  'Observation/t1990': time('1990-06-15T10:30:00Z'),
  'Observation/d1991': time('1991-01-01'),
  // periods
  'Observation/within': period('1990-03-01', '1990-04-30'),
  'Observation/across': period('1989-06-01', '1991-06-01'),
  'Observation/since': period('1990-08-01'),
  'Observation/until': period(undefined, '1990-02-01'),
};

const times: Resources = {
  'Procedure/midnight': { performedDateTime: '2013-01-14T00:00:00Z' },
  'Procedure/ten': { performedDateTime: '2013-01-14T10:00:00Z' },
  'Procedure/next': { performedDateTime: '2013-01-15T00:00:00Z' },
  'Procedure/day': { performedDateTime: '2013-01-14' },
  // the evening of the 14th in New York is the 15th
  'Procedure/york': { performedDateTime: '2013-01-14T22:00:00-05:00' },
  'Procedure/millis': { performedDateTime: '2013-03-01T10:00:00.250Z' },
  'Procedure/from-jan': { performedPeriod: { start: '2013-01-21' } },
  'Procedure/from-mar': { performedPeriod: { start: '2013-03-15' } },
  'Procedure/to-jan': { performedPeriod: { end: '2013-01-21' } },
};
for (const procedure of Object.values(times))
  Object.assign(procedure, { status: 'completed', subject: { reference: 'Patient/p' } });

const order = (occurrenceTiming: object): object => ({
  status: 'active',
  intent: 'order',
  subject: { reference: 'Patient/p' },
  occurrenceTiming,
});
const ORDERS: Resources = {
  'ServiceRequest/events': order({ event: ['2013-01-31', '2013-03-24'] }),
  'ServiceRequest/bounds': order({
    repeat: {
      boundsPeriod: { start: '2013-01-31', end: '2013-03-24' },
      frequency: 1,
      period: 2,
      periodUnit: 'd',
    },
  }),
  'ServiceRequest/open': order({ repeat: { boundsPeriod: { start: '2013-06-01' } } }),
  'ServiceRequest/lasting': order({ repeat: { boundsDuration: { value: 10, unit: 'd' } } }),
};

const PATIENTS: Resources = {
  'Patient/p': { birthDate: '1980-02-29' },
  'Patient/year': { birthDate: '1980' },
  'Patient/none': {},
  'Patient/died': { birthDate: '1900-12', deceasedDateTime: '1980-06-01T12:00:00+14:00' },
};

const { finds, refuses } = world(OBSERVATIONS, times, ORDERS, PATIENTS);

const INSIDE = 'y1990 m1990 d1990 t1990 within';
finds('R4 search.html#prefix: a year', 'Observation', [
  ['date=1990', INSIDE],
  ['date=eq1990', INSIDE],
  ['date=ne1990', 'y1989 d1989 d1991 across since until'],
  ['date=gt1990', 'd1991 across since'],
  ['date=ge1990', `${INSIDE} d1991 across since`],
  ['date=lt1990', 'y1989 d1989 across until'],
  ['date=le1990', `${INSIDE} y1989 d1989 across until`],
  ['date=sa1990', 'd1991'],
  ['date=sa1989', `${INSIDE} d1991 since`],
  ['date=eb1990', 'y1989 d1989'],
  ['date=eb1991', `${INSIDE} y1989 d1989 until`],
  // a tenth of the time until now: some three and a half years
  ['date=ap1990', `${INSIDE} y1989 d1989 d1991 across since until`],
  ['date=ap1988', `${INSIDE} y1989 d1989 d1991 across since until`],
  ['date=ap1970', 'until'],
  ['date=ap2020', 'since'],
]);

finds('R4 search.html#prefix: a month', 'Observation', [
  ['date=1990-06', 'm1990 d1990 t1990'],
  ['date=ne1990-06', 'y1989 d1989 y1990 d1991 within across since until'],
  ['date=gt1990-06', 'y1990 d1991 across since'],
  ['date=ge1990-06', 'y1990 m1990 d1990 t1990 d1991 across since'],
  ['date=lt1990-06', 'y1989 d1989 y1990 within across until'],
  ['date=le1990-06', 'y1989 d1989 y1990 m1990 d1990 t1990 within across until'],
  ['date=sa1990-05', 'm1990 d1990 t1990 d1991 since'],
  ['date=sa1990-06', 'd1991 since'],
  ['date=eb1990-06', 'y1989 d1989 within until'],
  ['date=eb1990-07', 'y1989 d1989 m1990 d1990 t1990 within until'],
]);

finds('R4 search.html#prefix: a day', 'Observation', [
  ['date=1990-06-15', 'd1990 t1990'],
  ['date=ne1990-06-15', 'y1989 d1989 y1990 m1990 d1991 within across since until'],
  ['date=gt1990-06-15', 'y1990 m1990 d1991 across since'],
  ['date=ge1990-06-15', 'y1990 m1990 d1990 t1990 d1991 across since'],
  ['date=lt1990-06-15', 'y1989 d1989 y1990 m1990 within across until'],
  ['date=le1990-06-15', 'y1989 d1989 y1990 m1990 d1990 t1990 within across until'],
  ['date=sa1990-06-14', 'd1990 t1990 d1991 since'],
  ['date=sa1990-06-15', 'd1991 since'],
  ['date=eb1990-06-15', 'y1989 d1989 within until'],
  ['date=eb1990-06-16', 'y1989 d1989 d1990 t1990 within until'],
]);

finds('R4 search.html#prefix: a minute, a second, a part of one', 'Observation', [
  ['date=1990-06-15T10:30', 't1990'],
  ['date=1990-06-15T10:30:00Z', 't1990'],
  ['date=1990-06-15T10:31Z', ''],
  ['date=1990-06-15T12:30+02:00', 't1990'],
  ['date=1990-06-15T05:30:00-05:00', 't1990'],
  ['date=gt1990-06-15T10:00', 'y1990 m1990 d1990 t1990 d1991 across since'],
  ['date=lt1990-06-15T10:00', 'y1989 d1989 y1990 m1990 d1990 within across until'],
  ['date=ge1990-06-15T10:30', 'y1990 m1990 d1990 t1990 d1991 across since'],
  ['date=gt1990-06-15T10:30', 'y1990 m1990 d1990 d1991 across since'],
  ['date=sa1990-06-15T10:29', 't1990 d1991 since'],
  ['date=eb1990-06-15T10:31', 'y1989 d1989 t1990 within until'],
]);

finds(
  'R4 search.html#combining: each date of a list has its own prefix, and parameters all hold',
  'Observation',
  [
    ['date=lt1990,ge1991', 'y1989 d1989 across until d1991 since'],
    ['date=1989,sa1990', 'y1989 d1989 d1991'],
    ['date=1990-06-15,1991', 'd1990 t1990 d1991'],
    ['date=ge1990-06&date=le1990-07', 'y1990 m1990 d1990 t1990 across'],
    ['date=ge1990&date=lt1990', 'across'],
    ['date=sa1990-01&date=eb1990-05', 'within'],
    ['date=1990,', INSIDE],
  ],
);

finds('R4 search.html#date: the table of what prefixes do', 'Procedure', [
  ['date=eq2013-01-14', 'midnight ten day'],
  ['date=ne2013-01-14', 'next york millis from-jan from-mar to-jan'],
  ['date=lt2013-01-14T10:00', 'midnight day to-jan'],
  ['date=gt2013-01-14T10:00', 'day next york millis from-jan from-mar to-jan'],
  ['date=ge2013-03-14', 'from-jan from-mar'],
  ['date=le2013-03-14', 'midnight ten day next york millis from-jan to-jan'],
  ['date=sa2013-03-14', 'from-mar'],
  ['date=eb2013-03-14', 'midnight ten day next york millis to-jan'],
  ['date=2013-01-15', 'next york'],
  ['date=2013-01-14T22:00:00-05:00', 'york'],
  ['date=2013-01-15T03:00:00Z', 'york'],
  ['date=2013-03-01T10:00:00.250Z', 'millis'],
  ['date=2013-03-01T10:00:00.251Z', ''],
  ['date=2013-03-01T10:00:00Z', 'millis'],
  ['date=gt2013-03-01T10:00:00.249Z', 'millis from-jan from-mar'],
  ['date=sa2013-03-01T10:00:00.249Z', 'millis from-mar'],
  ['date=ge2010-01-01&date=le2011-12-31', 'to-jan'],
]);

finds('R4 search.html#date: of a Timing only the outer limits matter', 'ServiceRequest', [
  ['occurrence=2013', 'events bounds'],
  ['occurrence=ge2013-02-01&occurrence=le2013-02-01', 'events bounds'],
  ['occurrence=2013-02-01', ''],
  ['occurrence=eb2013-03-25', 'events bounds'],
  ['occurrence=eb2013-03-24', ''],
  ['occurrence=sa2013-01-30', 'events bounds open'],
  ['occurrence=gt2030', 'open'],
  ['occurrence:missing=true', 'lasting'],
]);

finds('R4 search.html#date: dates without time', 'Patient', [
  ['birthdate=1980', 'p year'],
  ['birthdate=1980-02-29', 'p'],
  ['birthdate=le1980-02-28', 'year died'],
  ['birthdate=ge1980-03-01', 'year'],
  ['birthdate=1900', 'died'],
  ['birthdate=eb1901', 'died'],
  ['birthdate=ne1980', 'died'],
  ['birthdate:missing=true', 'none'],
  ['death-date=1980-05-31', 'died'],
  ['death-date=1980-06-01', ''],
]);

finds('R4 search.html#chaining: prefixes beyond a reference', 'Procedure', [
  ['patient.birthdate=ge1980-02-29&date=2013-03-01', 'millis'],
  ['patient.birthdate=lt1980-02-29', ''],
  ['patient.birthdate=lt1900,ge1980&date=2013-03-01', 'millis'],
]);

const NO_DATE = /must be a date that exists/;
refuses('R4 search.html#date: what is no date', 'Observation', [
  ['date=1990-13', 'value', NO_DATE],
  ['date=1990-02-29', 'value', NO_DATE],
  ['date=1990-6-15', 'value', NO_DATE],
  ['date=90', 'value', NO_DATE],
  ['date=19900615', 'value', NO_DATE],
  ['date=1990-06-15T10', 'value', NO_DATE],
  ['date=1990-06-15T24:00', 'value', NO_DATE],
  ['date=1990-06-15T10:30:00 02:00', 'value', NO_DATE],
  ['date=1990-06-15T10:30Z+1', 'value', NO_DATE],
  ['date=xx1990', 'value', NO_DATE],
  ['date=GE1990', 'value', NO_DATE],
  ['date=>1990', 'value', NO_DATE],
  ['date=ge', 'value', NO_DATE],
  ['date=gege1990', 'value', NO_DATE],
  ['date=1990,never', 'value', NO_DATE],
  ['date=23 May 2009', 'value', NO_DATE],
  ['date:exact=1990', 'not-supported', /it cannot have: possible are :missing/],
  ['date:text=1990', 'not-supported', /possible are :missing/],
  ['date:not=1990', 'not-supported', /possible are :missing/],
]);
