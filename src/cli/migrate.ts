/** `consilium migrate`: the schema of this version, or whether the database has it. */
import { migrate as apply, pending } from '../store/migrate.ts';
import { withDatabase } from './database.ts';
import { configuration } from './fault.ts';

export async function migrate({ check = false, json = false }): Promise<void> {
  const names = await withDatabase(configuration(), ({ url }) => (check ? pending(url) : apply(url)));
  if (check && names.length > 0) process.exitCode = 1;
  if (json) return console.log(JSON.stringify(check ? { pending: names } : { applied: names }));
  if (names.length === 0) console.log('The database is up to date.');
  else if (check) console.log(`To be applied by consilium migrate: ${names.join(', ')}`);
  else console.log(`Applied: ${names.join(', ')}`);
}
