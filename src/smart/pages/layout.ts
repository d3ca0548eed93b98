/** What all pages of the authorization server have in common. They work without script, and fit on a phone. */
import { type Html, html, type Part } from './html.ts';

/**
 * @param root  path under which the authorization server is seen
 * @param title of the page, also its heading
 */
export function page(root: string, title: string, ...content: readonly Part[]): string {
  const whole: Html = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="same-origin">
<title>${title} · Consilium</title>
<link rel="stylesheet" href="${root}/pages.css">
</head>
<body>
<main>
<p class="brand">Consilium</p>
<h1>${title}</h1>
${content}
</main>
</body>
</html>
`;
  return whole.text;
}

/** Something that went wrong, above a form; nothing where nothing did. */
export const alert = (says: string | undefined): Html | undefined =>
  says === undefined ? undefined : html`<p class="alert" role="alert">${says}</p>`;
