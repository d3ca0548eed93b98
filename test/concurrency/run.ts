/**
 * `npm run test:concurrency -- [--minutes 10] [--clients 16] [--pause 20]`: random clients over two servers that are
 * killed and started again; whether what they were told, and what is there, can come of one thing after the other.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startEmbedded } from '../../src/store/embedded.ts';
import { migrate } from '../../src/store/migrate.ts';
import { startCluster } from './cluster.ts';
import { concurrency, describe } from './concurrency.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    clients: { type: 'string', default: '16' },
    pause: { type: 'string', default: '20' },
    restart: { type: 'string', default: '10' },
  },
});
const dataDir = mkdtempSync(join(tmpdir(), 'consilium-concurrency-'));
chmodSync(dataDir, 0o755);
const embedded = await startEmbedded({ dataDir });
try {
  await migrate(embedded.url);
  const cluster = await startCluster({ DATABASE_URL: embedded.url, DATA_DIR: dataDir });
  try {
    const report = await concurrency(cluster, {
      seconds: Number(values.minutes) * 60,
      clients: Number(values.clients),
      pause: Number(values.pause),
      restartEvery: Number(values.restart),
    });
    for (const line of describe(report)) console.log(line);
    if (cluster.complaints()) console.log(`the servers complained:\n${cluster.complaints().slice(0, 5000)}`);
    process.exitCode = report.faults.length === 0 ? 0 : 1;
  } finally {
    await cluster.stop();
  }
} finally {
  await embedded.release();
  rmSync(dataDir, { recursive: true, force: true });
}
