/** Writes the table of settings in README.md again, from src/config.ts: `npx node scripts/settings.ts`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { settings } from '../src/config.ts';

const BEGIN = '<!-- settings: made by scripts/settings.ts -->';
const END = '<!-- end of settings -->';

/** The README with its table of settings as config.ts has them. */
export function withSettings(readme: string): string {
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`README.md lacks "${BEGIN}" before "${END}"`);
  const rows = Object.values(settings).map(
    ({ name, shown, meaning }) => `| \`${name}\` | ${cell(shown)} | ${cell(meaning)} |`,
  );
  const table = ['| name | default | meaning |', '|---|---|---|', ...rows].join('\n');
  return `${readme.slice(0, begin + BEGIN.length)}\n${table}\n${readme.slice(end)}`;
}

const cell = (text: string): string => text.replaceAll('|', '\\|');

if (import.meta.main) {
  const file = join(import.meta.dirname, '../README.md');
  writeFileSync(file, withSettings(readFileSync(file, 'utf8')));
}
