/** What is printed when the server listens: all that a newcomer needs. */
import type { Config } from '../../config.ts';
import type { Database } from '../database.ts';
import type { Demo } from './demo.ts';

/** @param sample what was made for trying out */
export function welcome(
  { baseUrl: url, dataDir }: Config,
  { embedded }: Database,
  { token, demo }: { readonly token?: string; readonly demo?: Demo },
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
    ...(demo ? demoLines(url, demo) : []),
    `  Docs     ${url}/docs`,
    `  Data     ${embedded ? `${dataDir} (embedded PostgreSQL)` : 'the PostgreSQL of DATABASE_URL'}`,
    '  Stop     Ctrl-C',
    '',
  ];
  return `${lines.join('\n')}\n`;
}

function demoLines(url: string, { people, password, app, backend, key }: Demo): string[] {
  const names = people.map(([username]) => username).join(', ');
  return [
    `  Apps     ${url}/auth/try launches the demo app, as a health record system would`,
    ...people.map(([username, is], i) => `${i === 0 ? '  Sign in  ' : '           '}${username}, ${is}`),
    password === undefined
      ? '           (their password was shown at the first start; a new one: npm run consilium -- user reset --username NAME)'
      : `           password of ${names}: ${password} (shown this once)`,
    `  Yours    client id ${app} (public, http://localhost:ANY/callback); ${backend} with the key in ${key}`,
  ];
}
