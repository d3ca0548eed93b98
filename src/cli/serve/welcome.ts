/** What is printed when the server listens: all that a newcomer needs. */
import type { Config } from '../../config.ts';
import type { Database } from '../database.ts';

export function welcome(
  { baseUrl: url, dataDir }: Config,
  { embedded }: Database,
  token: string | undefined,
): string {
  const lines = [
    `Consilium serves FHIR R4 at ${url}/fhir`,
    '',
    ...(token
      ? [
          `  Try      curl -H 'Authorization: Bearer ${token}' '${url}/fhir/Patient?_count=2&_pretty=true'`,
          '           (this access token is valid for 12 hours and may do everything)',
        ]
      : [`  Try      curl '${url}/fhir/metadata?_pretty=true'`, '  Token    npm run consilium -- token']),
    `  Docs     ${url}/docs`,
    `  Data     ${embedded ? `${dataDir} (embedded PostgreSQL)` : 'the PostgreSQL of DATABASE_URL'}`,
    '  Stop     Ctrl-C',
    '',
  ];
  return `${lines.join('\n')}\n`;
}
