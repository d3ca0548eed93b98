/** `consilium token`: an access token for whoever holds the database. */
import { readScopes } from '../access/access.ts';
import { loadDefinitions } from '../fhir/definitions.ts';
import { migrate } from '../store/migrate.ts';
import { openPool } from '../store/pool.ts';
import { issueToken } from '../store/tokens.ts';
import { withDatabase } from './database.ts';
import { configuration, Usage } from './fault.ts';

interface Options {
  readonly scope: string;
  readonly minutes: number;
  readonly client: string;
  readonly json?: boolean;
}

export async function token({ scope, minutes, client, json }: Options): Promise<void> {
  const config = configuration();
  const { isResourceType } = await loadDefinitions();
  try {
    readScopes(scope, isResourceType);
  } catch (fault) {
    throw new Usage(`--scope: ${(fault as Error).message}`);
  }
  const issued = await withDatabase(config, async ({ url }) => {
    await migrate(url);
    const pool = openPool({ databaseUrl: url, size: 1 });
    try {
      return await issueToken(pool, { scope, client, seconds: minutes * 60 });
    } finally {
      await pool.end();
    }
  });
  // The names of RFC 6749 5.1.
  const answer = { access_token: issued, token_type: 'Bearer', expires_in: minutes * 60, scope };
  console.log(json ? JSON.stringify(answer) : issued);
}
