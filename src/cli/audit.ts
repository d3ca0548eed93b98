/** `consilium audit verify`: whether the trail of who wrote and was shown what is as it was sealed. */

import { loadDefinitions } from '../fhir/definitions.ts';
import { verify } from '../store/audit/seals.ts';
import { openCatalog } from '../store/catalog.ts';
import { migrate } from '../store/migrate.ts';
import { openPool } from '../store/pool.ts';
import { withDatabase } from './database.ts';
import { configuration } from './fault.ts';

export async function verifyAudit({ json = false }: { readonly json?: boolean }): Promise<void> {
  const config = configuration();
  const found = await withDatabase(config, async ({ url }) => {
    await migrate(url);
    const pool = openPool({ databaseUrl: url, size: 1 });
    try {
      const catalog = await openCatalog(pool, await loadDefinitions());
      const told = (seals: number) => {
        if (seals % 1000 === 0) console.error(`${seals} seals hold …`);
      };
      return await verify(pool, catalog, told);
    } finally {
      await pool.end();
    }
  });
  const { seals, changes, accesses, broken } = found;
  if (json) console.log(JSON.stringify(found));
  else if (!broken) console.log(`All ${seals} seals hold, over ${changes} writes and ${accesses} accesses`);
  if (!broken) return;
  if (!json) {
    const [was, is] = [broken.was, broken.is].map(
      ([writes, others]) => `${writes} writes and ${others} accesses`,
    );
    console.log(
      `Seal ${broken.n} does not hold: it was made over ${was}, there are ${is}. Before it ${seals} hold.`,
    );
    console.log(
      'Rows were changed, added or dropped since (AUDIT_MONTHS drops old ones): compare with a backup.',
    );
  }
  process.exitCode = 1;
}
