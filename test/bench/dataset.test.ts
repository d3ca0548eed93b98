/** The benchmark checks counts against the dataset: they must be what its Observations come to. */
import { counted, countOf, observation, patientId, patientsWith } from '../../bench/dataset.ts';

const size = { observations: 20_000, patients: 500, others: 0 };
const all = Array.from({ length: size.observations }, (_, n) => observation(n, size));
const about = (code: string) => all.filter((one) => one.code.coding![0]!.code === code);

test('each counted code has its share, and the heavy patient a tenth of all and none of the last code', () => {
  for (const kind of counted) {
    expect(about(kind.code)).toHaveLength(countOf(kind, size));
    expect(countOf(kind, size)).toBe((size.observations * kind.share) / 10_000);
  }
  const heavy = all.filter((one) => one.subject!.reference === `Patient/${patientId(0)}`);
  expect(heavy.length / size.observations).toBeCloseTo(0.1, 1);
  expect(heavy.filter((one) => one.code.coding![0]!.code === counted[3]!.code)).toEqual([]);
});

test('patients that a search should find a full page for have one', () => {
  const [found] = patientsWith(counted[0]!, '2021-01-01', 20, size);
  const page = about(counted[0]!.code).filter(
    ({ subject, effectiveDateTime }) =>
      subject!.reference === `Patient/${patientId(found!)}` && effectiveDateTime! >= '2021-01-01',
  );
  expect(page.length).toBeGreaterThanOrEqual(20);
});
