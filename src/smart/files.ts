/** What is the same for everybody: styles, and the demo app of sample mode. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errors } from 'oidc-provider';
import type { SmartContext, Visit } from './context.ts';
import { demoPage } from './pages/demo.ts';

const read = (name: string): Buffer => readFileSync(join(import.meta.dirname, name));

const CSS = read('pages/pages.css');
const DEMO = read('demo/demo.js');
const PASSKEY = read('pages/passkey.js');

/** What apps are asked to look like, where they want to fit in (SMART App Launch 2.2, styling.html). */
export const STYLE = {
  color_background: '#f5f7f8',
  color_error: '#9c1c28',
  color_highlight: '#0b5f7c',
  color_modal_backdrop: '',
  color_success: '#17603a',
  color_text: '#16232b',
  dim_border_radius: '8px',
  dim_font_size: '16px',
  dim_spacing_size: '16px',
  font_family_body: 'system-ui, sans-serif',
  font_family_heading: 'system-ui, sans-serif',
};

export function sendCss({ response }: Visit): void {
  response.setHeader('Cache-Control', 'max-age=3600');
  send(response, 'text/css; charset=utf-8', CSS);
}

export function sendPasskeyScript({ response }: Visit): void {
  response.setHeader('Cache-Control', 'max-age=3600');
  send(response, 'text/javascript; charset=utf-8', PASSKEY);
}

/** The client id of the demo app, which sample mode registers. */
const DEMO_APP = 'demo-app';

/** What the page of the demo app may do: run its script, and ask this server. */
const POLICY =
  "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/** @throws InvalidRequest 404 where there is no demo app: in sample mode alone there is one */
export async function sendDemo({ clients, root }: SmartContext, { response }: Visit, script: boolean) {
  const client = await clients.find(DEMO_APP);
  if (!client || client.disabled)
    throw Object.assign(new errors.InvalidRequest('there is no demo app here'), { statusCode: 404 });
  response.setHeader('Content-Security-Policy', POLICY);
  response.setHeader('Cache-Control', 'no-store');
  if (script) send(response, 'text/javascript; charset=utf-8', DEMO);
  else send(response, 'text/html; charset=utf-8', Buffer.from(demoPage(root)));
}

function send(response: Visit['response'], type: string, bytes: Buffer): void {
  response.writeHead(200, { 'Content-Type': type, 'Content-Length': bytes.length }).end(bytes);
}
