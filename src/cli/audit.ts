/** `consilium audit verify`: whether the trail of who wrote and was shown what is as it was sealed. */

import { type Broken, verify } from '../store/audit/seals.ts';
import { migrate } from '../store/migrate.ts';
import { openPool } from '../store/pool.ts';
import { withDatabase } from './database.ts';
import { configuration } from './fault.ts';

export async function verifyAudit({ json = false }: { readonly json?: boolean }): Promise<void> {
  const config = configuration();
  const found = await withDatabase(config, async ({ url }) => {
    await migrate(url);
    const pool = openPool({ databaseUrl: url, size: 1, timeout: 0 });
    try {
      const told = (seals: number) => {
        if (seals % 1000 === 0) console.error(`${seals} seals hold …`);
      };
      return await verify(pool, told);
    } finally {
      await pool.end();
    }
  });
  const { seals, changes, accesses, dropped, broken } = found;
  if (json) console.log(JSON.stringify(found));
  else if (!broken) {
    const gone =
      dropped === 0 ? '' : `; ${dropped} more were dropped with their months, as AUDIT_MONTHS says`;
    console.log(`All ${seals} seals hold, over ${changes} writes and ${accesses} accesses${gone}`);
  }
  if (!broken) return;
  if (!json)
    console.log(
      `${faultOf(broken)}. Before it ${seals} hold. Compare with a backup, or with what AUDIT_SYSLOG has sent.`,
    );
  process.exitCode = 1;
}

function faultOf({ n, part, was, is }: Broken): string {
  if (part === 'seal') return `Seal ${n} ${is === 0 ? 'is gone' : 'was changed, or one before it'}`;
  const of = part === 'writes' ? part : `accesses of ${part}`;
  const how = was === is ? 'of which some were changed' : `and there are ${is}`;
  return `Seal ${n} does not hold: it was made over ${was} ${of}, ${how}`;
}
