/**
 * Writes the sample patients to fixtures/. The same every time, but for the echocardiogram clip: drawing that one
 * anew needs ffmpeg and is asked for with `--clip`; otherwise the committed clip is kept.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FhirResource } from 'fhir/r4.js';
import { transaction } from './fixtures/bundle.ts';
import { openChart } from './fixtures/chart.ts';
import { organizations } from './fixtures/organizations.ts';
import { encodeClip } from './fixtures/pictures/echo.ts';
import { moodQuestionnaire } from './fixtures/questionnaire.ts';
import { readme } from './fixtures/readme.ts';
import { stories } from './fixtures/stories.ts';

/** Where the clip lies inside of the fixtures' folder. */
export const CLIP = 'media/echo-four-chambers.mp4';

/**
 * The text of each file of the fixtures, by its name.
 *
 * @param clip  the bytes of the committed clip
 */
export function makeFixtures(clip: Uint8Array): ReadonlyMap<string, string> {
  const shared: FhirResource[] = [...organizations(), moodQuestionnaire()];
  const files = new Map([['00-organizations.json', transaction('00-organizations', shared)]]);
  const tellings = stories(clip).map((story) => {
    const chart = openChart(story.id, story.patient);
    story.tell(chart);
    files.set(`${story.file}.json`, transaction(story.file, chart.resources));
    return [story, chart.resources.length] as const;
  });
  return files.set('README.md', readme(tellings));
}

function writeFixtures(folder: string, drawClip: boolean) {
  const clip = join(folder, CLIP);
  mkdirSync(join(folder, 'media'), { recursive: true });
  if (drawClip) encodeClip(clip);
  for (const file of readdirSync(folder)) {
    if (file.endsWith('.json')) rmSync(join(folder, file));
  }
  for (const [file, text] of makeFixtures(readFileSync(clip))) writeFileSync(join(folder, file), text);
}

if (import.meta.main) {
  writeFixtures(join(import.meta.dirname, '../fixtures'), process.argv.includes('--clip'));
}
