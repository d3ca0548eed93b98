/** Numbers (R4 search.html#number, #prefix): the precision that is written counts for eq and ne, for the others none. */
import { type Resources, world } from './world.ts';

const risk = (prediction: object): object => ({
  status: 'final',
  subject: { reference: 'Patient/ann' },
  prediction: [prediction],
});
const range = (low?: number, high?: number): object =>
  risk({
    probabilityRange: {
      ...(low !== undefined && { low: { value: low } }),
      ...(high !== undefined && { high: { value: high } }),
    },
  });
const NUMBERS = [-5.4, 0, 5.35, 5.4, 5.4499, 5.45, 99.5, 100, 100.4999, 100.5, 105, 1000];
const RISKS: Resources = {
  ...Object.fromEntries(
    NUMBERS.map((number) => [
      `RiskAssessment/${String(number).replace('-', 'minus')}`,
      risk({ probabilityDecimal: number }),
    ]),
  ),
  'RiskAssessment/to10': range(undefined, 10),
  'RiskAssessment/from90': range(90),
  'RiskAssessment/r90-110': range(90, 110),
  'RiskAssessment/none': { status: 'final', subject: { reference: 'Patient/ann' } },
  'RiskAssessment/two': {
    status: 'final',
    subject: { reference: 'Patient/ann' },
    prediction: [{ probabilityDecimal: -1000 }, { probabilityDecimal: -2000 }],
  },
};

const sequence = (windowStart: number): object => ({
  coordinateSystem: 0,
  patient: { reference: 'Patient/ann' },
  referenceSeq: { windowStart, windowEnd: 100 },
});
const SEQUENCES: Resources = {
  'Patient/ann': {},
  'MolecularSequence/first': sequence(1),
  'MolecularSequence/second': sequence(2),
  'MolecularSequence/third': sequence(3),
  'MolecularSequence/twelfth': sequence(12),
};

const { finds, refuses } = world(RISKS, SEQUENCES);

const ALL = `minus5.4 0 5.35 5.4 5.4499 5.45 99.5 100 100.4999 100.5 105 1000 to10 from90 r90-110 two`;
const but = (...ids: string[]): string =>
  ALL.split(' ')
    .filter((id) => !ids.includes(id))
    .join(' ');

finds('R4 search.html#number: half a unit of the last digit on either side', 'RiskAssessment', [
  ['probability=5.4', '5.35 5.4 5.4499'],
  ['probability=eq5.4', '5.35 5.4 5.4499'],
  ['probability=eq5.40', '5.4'],
  ['probability=5.45', '5.4499 5.45'],
  ['probability=5.450', '5.4499 5.45'],
  ['probability=5.4500', '5.45'],
  ['probability=5', '5.35 5.4 5.4499 5.45'],
  ['probability=+5.4', '5.35 5.4 5.4499'],
  ['probability=-5.4', 'minus5.4'],
  ['probability=-5', 'minus5.4'],
  ['probability=100', '99.5 100 100.4999'],
  ['probability=100.0', '100'],
  ['probability=100.00', '100'],
  ['probability=99', ''],
  ['probability=100.5', '100.4999 100.5'],
  ['probability=0', '0'],
  ['probability=-0', '0'],
  ['probability=0100', '99.5 100 100.4999'],
  ['probability=1000', '1000'],
  // leading zeros are no significant digits; a zero after the point is one
  ['probability=1.00e2', '99.5 100 100.4999'],
  ['probability=1.0e2', '99.5 100 100.4999 100.5'],
  ['probability=5.4e0', '5.35 5.4 5.4499'],
  ['probability=54e-1', '5.35 5.4 5.4499'],
  ['probability=5.40e0', '5.4'],
  ['probability=0.54e1', '5.35 5.4 5.4499'],
  // One significant digit: half a hundred. The table's [95, 105) would be two.
  ['probability=1e2', '99.5 100 100.4999 100.5 105 r90-110'],
  ['probability=1E+2', '99.5 100 100.4999 100.5 105 r90-110'],
]);

finds('R4 search.html#number: ne, where it is not all within', 'RiskAssessment', [
  ['probability=ne5.4', but('5.35', '5.4', '5.4499')],
  ['probability=ne5.40', but('5.4')],
  ['probability=ne100', but('99.5', '100', '100.4999')],
  ['probability=ne100.00', but('100')],
  ['probability=ne-1000', ALL],
]);

const ABOVE = '100.4999 100.5 105 1000';
finds(
  'R4 search.html#prefix: for the others the number is exact, and a Range is all between',
  'RiskAssessment',
  [
    ['probability=gt100', `${ABOVE} from90 r90-110`],
    ['probability=gt100.00', `${ABOVE} from90 r90-110`],
    ['probability=gt1.0e2', `${ABOVE} from90 r90-110`],
    ['probability=gt100.5', '105 1000 from90 r90-110'],
    ['probability=ge100', `100 ${ABOVE} from90 r90-110`],
    ['probability=ge100.01', `${ABOVE} from90 r90-110`],
    ['probability=lt100', 'minus5.4 0 5.35 5.4 5.4499 5.45 99.5 to10 from90 r90-110 two'],
    ['probability=le100', 'minus5.4 0 5.35 5.4 5.4499 5.45 99.5 100 to10 from90 r90-110 two'],
    ['probability=lt5.4', 'minus5.4 0 5.35 to10 two'],
    ['probability=le5.4', 'minus5.4 0 5.35 5.4 to10 two'],
    ['probability=lt0', 'minus5.4 to10 two'],
    ['probability=le0', 'minus5.4 0 to10 two'],
    ['probability=lt-5', 'minus5.4 to10 two'],
    ['probability=lt-6', 'to10 two'],
    ['probability=lt-1500', 'to10 two'],
    ['probability=gt110', '1000 from90'],
    ['probability=ge110', '1000 from90 r90-110'],
    ['probability=gt1e3', 'from90'],
    ['probability=lt90', 'minus5.4 0 5.35 5.4 5.4499 5.45 to10 two'],
    ['probability=le90', 'minus5.4 0 5.35 5.4 5.4499 5.45 to10 from90 r90-110 two'],
    ['probability=sa100', ABOVE],
    ['probability=sa100.4999', '100.5 105 1000'],
    ['probability=sa90', `99.5 100 ${ABOVE}`],
    ['probability=sa89.9', `99.5 100 ${ABOVE} from90 r90-110`],
    ['probability=eb100', 'minus5.4 0 5.35 5.4 5.4499 5.45 99.5 to10 two'],
    ['probability=eb10', 'minus5.4 0 5.35 5.4 5.4499 5.45 two'],
    ['probability=eb10.1', 'minus5.4 0 5.35 5.4 5.4499 5.45 to10 two'],
    ['probability=eb111', 'minus5.4 0 5.35 5.4 5.4499 5.45 99.5 100 100.4999 100.5 105 to10 r90-110 two'],
  ],
);

finds('R4 search.html#prefix: ap, within a tenth of it', 'RiskAssessment', [
  ['probability=ap100', '99.5 100 100.4999 100.5 105 from90 r90-110'],
  ['probability=ap100.0', '99.5 100 100.4999 100.5 105 from90 r90-110'],
  ['probability=ap110', '99.5 100 100.4999 100.5 105 from90 r90-110'],
  ['probability=ap111.2', '100.4999 100.5 105 from90 r90-110'],
  ['probability=ap5', '5.35 5.4 5.4499 5.45 to10'],
  ['probability=ap-5', 'minus5.4 to10'],
  ['probability=ap0', '0 to10'],
]);

finds('R4 search.html#combining: each number of a list has its own prefix', 'RiskAssessment', [
  ['probability=lt0,sa105,5.40', '1000 5.4 minus5.4 to10 two'],
  ['probability=gt5.4&probability=lt100', '5.4499 5.45 99.5 to10 from90 r90-110'],
  ['probability=100.00,,0', '100 0'],
  ['probability=lt-1500&probability=gt-1500', 'to10 two'],
  ['probability:missing=true', 'none'],
  ['probability:missing=false', ALL],
]);

finds('R4 search.html#number: of whole numbers', 'MolecularSequence', [
  ['window-start=2', 'second'],
  ['window-start=2.0', 'second'],
  ['window-start=2.5', ''],
  ['window-start=1', 'first'],
  ['window-start=1.2e1', 'twelfth'],
  ['window-start=gt2', 'third twelfth'],
  ['window-start=ge2', 'second third twelfth'],
  ['window-start=lt2', 'first'],
  ['window-start=le2', 'first second'],
  ['window-start=ne2', 'first third twelfth'],
  ['window-start=gt1.5&window-start=lt2.5', 'second'],
  ['patient.birthdate:missing=true&window-start=1,3', 'first third'],
]);

const NO_NUMBER = /must be a number/;
refuses('R4 search.html#number: what is no number', 'RiskAssessment', [
  ['probability=ten', 'value', NO_NUMBER],
  ['probability=1,000x', 'value', NO_NUMBER],
  ['probability=1.', 'value', NO_NUMBER],
  ['probability=.5', 'value', NO_NUMBER],
  ['probability=1e', 'value', NO_NUMBER],
  ['probability=0x10', 'value', NO_NUMBER],
  ['probability=NaN', 'value', NO_NUMBER],
  ['probability=Infinity', 'value', NO_NUMBER],
  ['probability=1e999', 'value', NO_NUMBER],
  ['probability=gt', 'value', NO_NUMBER],
  ['probability=gt 5', 'value', NO_NUMBER],
  ['probability=>5', 'value', NO_NUMBER],
  ['probability=5%', 'value', NO_NUMBER],
  ['probability:not=5', 'not-supported', /it cannot have: possible are :missing/],
]);
