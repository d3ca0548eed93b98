/** The page of what cannot be told to the app: it may not be who it says it is. */
import { html } from './html.ts';
import { page } from './layout.ts';

/**
 * @param root  as of page
 * @param error of RFC 6749
 * @param says  what is wrong, in words
 */
export function errorPage(root: string, error: string, says: string | undefined): string {
  return page(
    root,
    'This did not work',
    html`<p>${WORDS[error] ?? 'The app asked for something that cannot be done.'}</p>
${says && html`<p class="small">For who makes the app: <code>${error}</code>, ${says}</p>`}`,
  );
}

const WORDS: Readonly<Record<string, string>> = {
  temporarily_unavailable: 'This server is in maintenance. Try again later.',
  server_error: 'Something went wrong on this server. Try again, or tell who runs it.',
  invalid_client: 'The app is not known here, or was switched off.',
  invalid_redirect_uri: 'The app asked to be called back at an address that was not agreed with it.',
  invalid_request: 'The app, or the link to it, is not in order. Go back to the app and begin again.',
  session_not_found:
    'This page is too old, or was opened in another window. Go back to the app and begin again.',
};
