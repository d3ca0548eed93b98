/**
 * How fast `consilium load` fills an embedded database: Synthea's sample patients, as many renumbered copies as
 * make 100,000 resources. `npm run bench:load -- [RESOURCES]`
 */
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memoryOf, start } from './processes.ts';

const SOURCE = join(import.meta.dirname, '../../shared/data/synthea/smart-r4');
const UUID = /\b([0-9a-f]{8})((?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b/g;
const wanted = Number(process.argv[2] ?? 100_000);

if (existsSync(SOURCE)) await main();
else console.log(`skipped: there are no Synthea patients in ${SOURCE}`);

async function main(): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'consilium-load-'));
  try {
    const input = join(root, 'input');
    mkdirSync(input);
    const count = writeCopies(input);
    console.log(`${count} resources in ${readdirSync(input).length} transaction Bundles`);
    const first = await load(root, input);
    report('first run', first);
    const second = await load(root, input);
    report('second run', second);
    const right = first.created + first.there + first.refused === count && second.created === 0;
    console.log(right ? 'nothing was loaded twice' : 'THE COUNTS ARE WRONG');
    if (!right || first.refused > 0) process.exitCode = 1;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Writes so many copies as are wanted, each with ids of its own; returns the number of resources. */
function writeCopies(folder: string): number {
  const bundles = readdirSync(SOURCE)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => {
      const text = readFileSync(join(SOURCE, name), 'utf8');
      return { name, text, size: (JSON.parse(text) as { entry: unknown[] }).entry.length };
    });
  let count = 0;
  for (let copy = 0; count < wanted; copy++)
    for (const { name, text, size } of bundles) {
      if (count >= wanted) break;
      writeFileSync(join(folder, `${String(copy).padStart(3, '0')}-${name}`), renumbered(text, copy));
      count += size;
    }
  return count;
}

/** Every UUID in it, ids and references alike, changed in the same way. */
function renumbered(text: string, copy: number): string {
  return text.replace(UUID, (_, head: string, tail: string) => {
    const changed = (Number.parseInt(head, 16) + Math.imul(copy, 0x01000193)) >>> 0;
    return changed.toString(16).padStart(8, '0') + tail;
  });
}

/** What the command says. */
interface Counts {
  readonly created: number;
  readonly there: number;
  readonly refused: number;
  readonly seconds: number;
}

interface Load extends Counts {
  /** seconds with the start of the command, its database included */
  readonly withStart: number;
  /** MiB: the most, and what it was after each quarter */
  readonly peak: number;
  readonly quarters: readonly number[];
}

async function load(root: string, input: string): Promise<Load> {
  const begin = performance.now();
  const refused = join(root, 'refused.ndjson');
  const child = start(['load', '--json', '--refused', refused, input], { DATA_DIR: join(root, 'data') });
  let peak = 0;
  const samples: number[] = [];
  const watch = setInterval(() => {
    const memory = memoryOf(child.pid);
    if (!memory) return;
    peak = Math.max(peak, memory.peak);
    samples.push(memory.now);
  }, 100);
  const [code] = await once(child.process, 'close');
  clearInterval(watch);
  if (child.printed() === '') throw new Error(`consilium load ended with ${code}: ${child.complaints()}`);
  const result = JSON.parse(child.printed()) as Counts;
  if (result.refused > 0) console.log(readFileSync(refused, 'utf8').slice(0, 2000));
  return {
    ...result,
    withStart: (performance.now() - begin) / 1000,
    peak,
    quarters: [0.25, 0.5, 0.75, 0.99].map((share) => samples[Math.floor(samples.length * share)] ?? 0),
  };
}

function report(name: string, { created, there, refused, seconds, withStart, peak, quarters }: Load): void {
  const rate = Math.round((created + there) / seconds);
  console.log(
    `${name}: ${created} created, ${there} already there, ${refused} refused in ${seconds.toFixed(1)} s (${withStart.toFixed(1)} with the start): ` +
      `${rate} resources/s; memory ${quarters.join(', ')} MiB by quarters, at most ${peak}`,
  );
}
