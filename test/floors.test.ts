/** The rules of the house hold, and would be seen to be broken: faults are planted in a copy of it. */
import { execFile } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const DEPCRUISE = join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');

/** An import that must be refused, and the rule that does it. */
const PLANTED = [
  ['src/fhir/date.ts', '../store/store.ts', 'floor-fhir'],
  ['src/search/parse.ts', '../store/pool.ts', 'floor-search'],
  ['src/access/access.ts', '../records/records.ts', 'floor-access'],
  ['src/store/hash.ts', '../records/records.ts', 'floor-store'],
  ['src/records/read.ts', '../http/answer.ts', 'floor-records'],
  ['src/http/answer.ts', '../rest/bundle.ts', 'floor-http'],
  ['src/rest/read.ts', '../store/pool.ts', 'floor-rest'],
  ['src/rest/write.ts', '../app.ts', 'floor-rest'],
  ['src/app.ts', './cli/log.ts', 'floor-app'],
  ['src/helpers/strings.ts', '../config.ts', 'known-room'],
  ['src/fhir/json.ts', 'node:http', 'no-http-below-the-hall'],
  ['src/records/read.ts', 'express', 'no-http-below-the-hall'],
  ['src/store/arrays.ts', './numbers.ts', 'no-circular'],
  ['src/http/range.ts', './nowhere.ts', 'no-unresolved'],
] as const;

interface Violation {
  readonly from: string;
  readonly rule: { readonly name: string };
}

let house: string;

beforeAll(() => {
  house = mkdtempSync(join(tmpdir(), 'consilium-floors-'));
  for (const name of ['src', '.dependency-cruiser.cjs', 'package.json'])
    cpSync(join(ROOT, name), join(house, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(house, 'node_modules'));
});
afterAll(() => rmSync(house, { recursive: true, force: true }));

/** What `npm run lint` would refuse. */
function violations(): Promise<readonly string[]> {
  const options = ['src', '--config', '.dependency-cruiser.cjs', '--output-type', 'json'];
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [DEPCRUISE, ...options],
      { cwd: house, maxBuffer: 2 ** 26 },
      (fault, stdout) => {
        if (stdout === '') return reject(fault);
        const { violations } = JSON.parse(stdout).summary as { violations: Violation[] };
        resolve(violations.map(({ from, rule }) => `${from} ${rule.name}`));
      },
    );
  });
}

test('the house as it is breaks no rule, and each import planted upwards is refused', async () => {
  expect(await violations()).toEqual([]);
  for (const [file, to] of PLANTED) {
    mkdirSync(dirname(join(house, file)), { recursive: true });
    appendFileSync(join(house, file), `\nimport '${to}';\n`);
  }
  const found = await violations();
  const expected = PLANTED.map(([file, , rule]) => `${file} ${rule}`);
  expect(expected.filter((one) => !found.includes(one))).toEqual([]);
}, 120_000);

/** The files of src, by their paths from the root. */
function sources(): string[] {
  return readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `src/${name}`);
}

const linesOf = (file: string): string[] => readFileSync(join(ROOT, file), 'utf8').split('\n');

test('no file of src is longer than 400 lines', () => {
  expect(sources().filter((file) => linesOf(file).length > 401)).toEqual([]);
});

test('nothing but config.ts reads the environment', () => {
  const found = sources().flatMap((file) =>
    linesOf(file)
      .filter(
        (line) => /\bprocess\.env\b|\benv\b.*from 'node:process'/.test(line) && !/^\s*(\/\/|\*)/.test(line),
      )
      .map((line) => `${file}: ${line.trim()}`),
  );
  expect(found.filter((line) => !line.startsWith('src/config.ts'))).toEqual([
    // handed to config.ts
    'src/cli/fault.ts: return readConfig(process.env);',
    // PostgreSQL's programs get nothing of ours but where programs are
    "src/store/embedded/program.ts: export const environment = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };",
  ]);
});

test('no module holds a variable that changes', () => {
  const found = sources().flatMap((file) =>
    linesOf(file)
      .filter((line) => /^(export )?(let|var) /.test(line))
      .map((line) => `${file}: ${line}`),
  );
  expect(found).toEqual([]);
});
