/** After all tests: stops what setup.ts started. */
import { rmSync } from 'node:fs';
import type { Embedded } from '../../src/store/embedded.ts';

export default async function teardown(): Promise<void> {
  const { embedded, dataDir } = (
    globalThis as unknown as { testDatabase: { embedded: Embedded; dataDir: string } }
  ).testDatabase;
  await embedded.release();
  rmSync(dataDir, { recursive: true, force: true });
}
