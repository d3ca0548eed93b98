/** What is printed when the server listens: all that a newcomer needs. */
import type { Config } from '../../config.ts';
import type { Database } from '../database.ts';

export function welcome(
  { baseUrl, dataDir, port: asked }: Config,
  { embedded }: Database,
  { port, token }: { readonly port: number; readonly token?: string },
): string {
  // With PORT=0 nobody can have known the port before.
  const url = asked === 0 ? baseUrl.replace(/:0$/, `:${port}`) : baseUrl;
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
