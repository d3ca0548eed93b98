/** Quantities (R4 search.html#quantity): values, units, and units that can be converted. */
import { canonicalUnit } from '../../../src/search/units.ts';
import { quantity, type Resources, UCUM, world } from './world.ts';

const value = (valueQuantity: object): object => ({ status: 'final', code: { text: 'any' }, valueQuantity });
const of = (text: string, more: object = {}): object => value({ ...quantity(text), ...more });
const onset = (more: object): object => ({ subject: { reference: 'Patient/ann' }, ...more });

const OBSERVATIONS: Resources = {
  'Observation/mg': of('5.4 mg'),
  'Observation/g': of('0.0054 g', { unit: 'grams' }),
  'Observation/words': value({ value: 5.4, unit: 'mg' }),
  'Observation/human': of('5.4 ug', { unit: 'microgram' }),
  'Observation/local': of('5.4 mg', { system: 'urn:units' }),
  'Observation/bare': value({ value: 5.4 }),
  'Observation/mmol': of('5.4 mmol/L'),
  'Observation/umol': of('5400 umol/L'),
  'Observation/cel': of('37 Cel'),
  'Observation/kelvin': of('310.15 K'),
  'Observation/fahrenheit': of('98.6 [degF]'),
  'Observation/acid': of('7.4 [pH]'),
  'Observation/iu': of('5.4 [iU]'),
  'Observation/kiu': of('0.0054 k[iU]'),
  'Observation/less': of('5 kPa', { comparator: '<' }),
  'Observation/at-most': of('5 kPa', { comparator: '<=' }),
  'Observation/more': of('5 kPa', { comparator: '>' }),
  'Observation/at-least': of('5 kPa', { comparator: '>=' }),
  'Observation/long': of(`7 ${'m.'.repeat(40)}m`),
  'Observation/cold': of('-10 Cel'),
  'Observation/rate': of('23 mm/h'),
  'Observation/samples': {
    status: 'final',
    code: { text: 'any' },
    valueSampledData: { origin: { ...quantity('100 mV') }, period: 10, dimensions: 1, data: '-20 E 0 30' },
  },
  'Observation/unvalued': { status: 'final', code: { text: 'any' }, dataAbsentReason: { text: 'unknown' } },
};

const OTHERS: Resources = {
  'Patient/ann': {},
  'Condition/infant': onset({ onsetRange: { low: quantity('6 mo'), high: quantity('17 mo') } }),
  'Condition/adult': onset({ onsetAge: quantity('40 a') }),
  'Condition/late': onset({ onsetRange: { low: quantity('60 a') } }),
  'Condition/dated': onset({ onsetDateTime: '2020' }),
  'Invoice/euro': { status: 'issued', totalNet: { value: 100, currency: 'EUR' } },
  'Invoice/dollar': { status: 'issued', totalNet: { value: 100, currency: 'USD' } },
  'Invoice/cents': { status: 'issued', totalNet: { value: 99.99, currency: 'EUR' } },
  'Encounter/half-hour': {
    status: 'finished',
    class: { code: 'AMB' },
    length: quantity('30 min'),
  },
};

const { finds, refuses } = world(OBSERVATIONS, OTHERS);

finds('R4 search.html#quantity: number, number|system|code, number||code', 'Observation', [
  ['value-quantity=5.4', 'bare human iu local mg mmol words'],
  ['value-quantity=5.4||', 'bare human iu local mg mmol words'],
  ['value-quantity=5.40', 'bare human iu local mg mmol words'],
  ['value-quantity=5', 'bare human iu local mg mmol words'],
  ['value-quantity=5.39', ''],
  [`value-quantity=5.4|${UCUM}|mg`, 'g mg'],
  [`value-quantity=5.4|${UCUM}|`, 'human iu mg mmol'],
  ['value-quantity=5.4|urn:units|mg', 'local'],
  ['value-quantity=5.4|urn:units|', 'local'],
  ['value-quantity=5.4|urn:none|mg', ''],
  // code or human unit, whatever the system; and what it is in UCUM
  ['value-quantity=5.4||mg', 'g local mg words'],
  ['value-quantity=5.4||microgram', 'human'],
  ['value-quantity=0.0054||grams', 'g'],
  ['value-quantity=5.4||MG', ''],
  [`value-quantity=5.40e-3|${UCUM}|g`, 'g mg'],
  [`value-quantity=le5.4|${UCUM}|mg`, 'g human mg'],
  [`value-quantity=lt5.4|${UCUM}|mg`, 'human'],
  [`value-quantity=ap5.8|${UCUM}|mg`, 'g mg'],
  [`value-quantity=ap6.1|${UCUM}|mg`, ''],
  ['value-quantity:missing=true', 'unvalued'],
]);

finds('R4 search.html#quantity: canonical units', 'Observation', [
  ['value-quantity=5.40e-3||g', 'g mg'],
  [`value-quantity=5400|${UCUM}|ug`, 'g mg'],
  ['value-quantity=5.4||mmol/L', 'mmol umol'],
  ['value-quantity=0.0054||mol/m3', ''],
  ['value-quantity=5.4||mol/m3', 'mmol umol'],
  ['value-quantity=ge5.4||mmol/L', 'mmol umol'],
  ['value-quantity=gt5.4||mmol/L', ''],
  ['value-quantity=le5400||umol/L', 'mmol umol'],
  ['value-quantity=lt5400||umol/L', ''],
  ['value-quantity=ne5.4||mmol/L', ''],
  ['value-quantity=ne5.5||mmol/L', 'mmol umol'],
  ['value-quantity=sa5399||umol/L', 'mmol umol'],
  ['value-quantity=eb5401||umol/L', 'mmol umol'],
  ['value-quantity=0.023||m/h', 'rate'],
  ['value-quantity=37||Cel', 'cel fahrenheit kelvin'],
  ['value-quantity=310.15||K', 'cel fahrenheit kelvin'],
  ['value-quantity=98.6||[degF]', 'cel fahrenheit kelvin'],
  ['value-quantity=gt37||Cel', ''],
  ['value-quantity=ge310.15||K', 'cel fahrenheit kelvin'],
  ['value-quantity=lt0||Cel', 'cold'],
  ['value-quantity=263.15||K', 'cold'],
  ['value-quantity=lt14.1||[degF]', 'cold'],
  // a tenth of what is written: 3.7 degrees on either side, whatever they are counted from
  ['value-quantity=ap33.5||Cel', ''],
  ['value-quantity=ap34||Cel', 'cel fahrenheit kelvin'],
  ['value-quantity=ap340||K', 'cel fahrenheit kelvin'],
]);

finds('R4 search.html#quantity: what cannot be converted is only itself', 'Observation', [
  // a unit that falls where others rise, and one that is not of any dimension
  ['value-quantity=7.4||[pH]', 'acid'],
  ['value-quantity=le1||mol/L', 'mmol umol'],
  ['value-quantity=5.4||[iU]', 'iu'],
  ['value-quantity=0.0054||k[iU]', 'kiu'],
  [`value-quantity=7||${'m.'.repeat(40)}m`, 'long'],
  ["value-quantity=5.4||no'unit[", ''],
]);

test('a unit of more than 50 characters is not read', () => {
  expect(canonicalUnit(`${'m.'.repeat(24)}m`)).toBeDefined();
  expect(canonicalUnit(`${'m.'.repeat(25)}m`)).toBeUndefined();
});

finds('R4 datatypes.html#Quantity: a comparator makes the value a range', 'Observation', [
  ['value-quantity=lt5||kPa', 'at-most less'],
  ['value-quantity=le5||kPa', 'at-least at-most less'],
  ['value-quantity=ge5||kPa', 'at-least at-most more'],
  ['value-quantity=gt5||kPa', 'at-least more'],
  ['value-quantity=gt4||kPa', 'at-least at-most less more'],
  ['value-quantity=sa5||kPa', 'more'],
  ['value-quantity=eb5||kPa', 'less'],
  ['value-quantity=sa4.9||kPa', 'at-least more'],
  ['value-quantity=eb5.1||kPa', 'at-most less'],
  ['value-quantity=5||kPa', ''],
  ['value-quantity=ne5||kPa', 'at-least at-most less more'],
  ['value-quantity=eb5000||Pa', 'less'],
  ['value-quantity=ge5000||Pa', 'at-least at-most more'],
]);

finds('R4 observation.html#search: of samples the bounds count', 'Observation', [
  ['value-quantity=gt120||mV', 'samples'],
  ['value-quantity=gt130||mV', ''],
  ['value-quantity=lt81||mV', 'samples'],
  ['value-quantity=100||mV', ''],
  ['value-quantity=sa0.079||V', 'samples'],
]);

finds('R4 search.html#combining: lists, with their own prefixes and units', 'Observation', [
  ['value-quantity=le5.4||mmol/L,gt7||[pH]', 'mmol umol acid'],
  ['value-quantity=lt0||Cel,310||K', 'cold cel kelvin fahrenheit'],
  ['value-quantity=gt5||mmol/L&value-quantity=lt6||mmol/L', 'mmol umol'],
]);

finds('R4 search.html#prefix: Ranges and ages', 'Condition', [
  ['onset-age=ap1||a', 'infant'],
  ['onset-age=eq1||a', 'infant'],
  ['onset-age=eq1.0||a', ''],
  ['onset-age=gt1.4||a', 'infant adult late'],
  ['onset-age=gt1.5||a', 'adult late'],
  ['onset-age=sa5||mo', 'infant adult late'],
  ['onset-age=40||a', 'adult'],
  ['onset-age=480||mo', 'adult'],
  ['onset-age=gt100||a', 'late'],
  ['onset-age=lt60||a', 'infant adult'],
  ['onset-age=eb40||a', 'infant'],
  ['onset-age:missing=true', 'dated'],
]);

finds('R4 datatypes.html#Money: by its currency', 'Invoice', [
  ['totalnet=100', 'euro dollar cents'],
  ['totalnet=100.00', 'euro dollar'],
  ['totalnet=100.00|urn:iso:std:iso:4217|EUR', 'euro'],
  ['totalnet=lt100||EUR', 'cents'],
  ['totalnet=ge100||USD', 'dollar'],
]);

finds('R4 datatypes.html#Duration', 'Encounter', [
  ['length=30||min', 'half-hour'],
  ['length=0.5||h', 'half-hour'],
  [`length=gt29|${UCUM}|min`, 'half-hour'],
  ['length=gt1||h', ''],
]);

const FORM = /must be number, number\|system\|code or number\|\|code/;
refuses('R4 search.html#quantity: what is no quantity', 'Observation', [
  ['value-quantity=5.4|mg', 'value', FORM],
  ['value-quantity=5.4|a|b|c', 'value', FORM],
  ['value-quantity=5.4 mg', 'value', /must be a number/],
  ['value-quantity=||mg', 'value', /must be a number/],
  ['value-quantity=gt||mg', 'value', /must be a number/],
  ['value-quantity=<5.4', 'value', /must be a number/],
  ['value-quantity:exact=5.4', 'not-supported', /it cannot have: possible are :missing/],
]);
