import { setTimeout as sleep } from 'node:timers/promises';
import { keepTimetable } from '../../src/jobs/timetable.ts';

const EACH_SECOND = '* * * * * *';

test('chores are done at their times, not beside themselves, and again after a fault, which is told by its code', async () => {
  const told: unknown[] = [];
  let [quick, slow, most, under] = [0, 0, 0, 0];
  const end = keepTimetable(
    [
      {
        at: EACH_SECOND,
        failed: 'could not do it',
        work: async () => {
          quick++;
          throw Object.assign(new Error('of a patient'), { code: '53300' });
        },
      },
      {
        at: EACH_SECOND,
        failed: 'could not do the other',
        work: async () => {
          slow++;
          most = Math.max(most, ++under);
          await sleep(1500);
          under--;
        },
      },
    ],
    { warn: (...line: unknown[]) => told.push(line) } as never,
  );
  await sleep(4300);
  end();
  const done = quick;
  expect(done).toBeGreaterThanOrEqual(3);
  expect(told).toEqual(Array(done).fill([{ code: '53300' }, 'could not do it']));
  expect(slow).toBeGreaterThanOrEqual(2);
  expect(slow).toBeLessThan(done);
  expect(most).toBe(1);
  await sleep(1300);
  expect(quick).toBe(done);
});
