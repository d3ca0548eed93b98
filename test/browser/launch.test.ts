/**
 * A person, a Chromium and a small SMART app: sign in, narrow, allow; again for another patient; end it. Runs where a
 * Chromium is (CHROMIUM, or in the usual places); SCREENSHOTS=folder keeps pictures of the pages.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { PASSWORD, type SmartServer, startSmart } from '../smart/server.ts';
import { CHROMIUM } from './chromium.ts';

const withChromium = CHROMIUM ? test : test.skip;

let server: SmartServer;
let browser: Browser;
beforeAll(async () => {
  if (!CHROMIUM) return console.warn('no Chromium here: the pages are not looked at');
  server = await startSmart();
  await server.app.smart.clients.add({
    id: 'demo-app',
    name: 'Demo app',
    type: 'public',
    redirectUris: [`${server.issuer}/demo`],
    launchUri: `${server.issuer}/demo`,
  });
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
});

const PHONE = { viewport: { width: 375, height: 720 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

async function picture(page: Page, name: string): Promise<void> {
  // No page is wider than a phone.
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(375);
  if (process.env.SCREENSHOTS)
    await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`), fullPage: true });
}

/** What the app shows: the token response, and what came of reading the patient. */
async function told(page: Page): Promise<Record<string, unknown>> {
  await page.waitForSelector('#out:has-text("{")');
  const text = (await page.textContent('#out')) as string;
  return JSON.parse(text.split('\n\n')[0] as string) as Record<string, unknown>;
}

withChromium('sign in, narrow, allow; another patient in the same browser; end access', async () => {
  const context = await browser.newContext(PHONE);
  const page = await context.newPage();
  await page.goto(`${server.issuer}/demo`);
  await picture(page, 'app');
  await page.click('#start');

  await page.waitForSelector('h1:text("Sign in")');
  await page.fill('[name=username]', 'doctor');
  await page.fill('[name=password]', 'not the password');
  await page.click('button.primary');
  await page.waitForSelector('[role=alert]');
  await picture(page, 'sign-in');
  await page.fill('[name=password]', PASSWORD);
  await page.click('button.primary');

  await page.waitForSelector('h1:text("Choose a patient")');
  await picture(page, 'patient');
  await page.click('button[value=ines]');
  await page.waitForSelector('h1:text("Allow Demo app?")');
  await page.click('.choice:has-text("Measurements") summary');
  await picture(page, 'consent');
  await page.check('.choice:has-text("Measurements") details label:has-text("laboratory") input');
  await page.uncheck('.choice:has-text("Problems") input[name=scope]');
  await page.click('button[value=allow]');
  const first = await told(page);
  expect(first.patient).toBe('ines');
  expect(first.scope).toContain('patient/Observation.rs?category=');
  expect(first.scope).not.toContain('Condition');
  await picture(page, 'token');

  await page.click('#start');
  await page.click('button[value=juan]');
  await page.click('button[value=allow]');
  expect((await told(page)).patient).toBe('juan');

  await page.goto(`${server.issuer}/account`);
  await picture(page, 'account');
  expect(await page.locator('button:text("End access")').count()).toBe(2);
  await page.click('button:text("End access") >> nth=0');
  expect(await page.locator('button:text("End access")').count()).toBe(1);
  await context.close();
});

withChromium('the launch page opens the app as an EHR would; pages work without script', async () => {
  const context = await browser.newContext({ ...PHONE, colorScheme: 'dark' });
  const page = await context.newPage();
  await page.goto(`${server.issuer}/try`);
  await page.fill('[name=username]', 'doctor');
  await page.fill('[name=password]', PASSWORD);
  await page.click('button.primary');
  await page.waitForSelector('h1:text("Launch an app")');
  await picture(page, 'try');
  await page.selectOption('[name=patient]', 'juan');
  await page.selectOption('[name=app]', 'demo-app');
  await page.click('button.primary');
  await page.waitForSelector('h1:text("Allow Demo app?")');
  await picture(page, 'consent-dark');
  await page.click('button[value=allow]');
  expect(await told(page)).toMatchObject({ patient: 'juan', need_patient_banner: false });
  await context.close();
});

withChromium(
  'an app that asks for form_post is sent the code by a form (OAuth 2.0 Form Post Response Mode)',
  async () => {
    const got: string[] = [];
    const listening = createServer((request, response) => {
      request.setEncoding('utf8').on('data', (piece) => got.push(piece));
      request.on('end', () => response.end('<title>app</title>thanks'));
    });
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
    const callback = `http://localhost:${(listening.address() as AddressInfo).port}/post`;
    await server.app.smart.clients.add({ id: 'posted', type: 'public', redirectUris: [callback] });
    const query = new URLSearchParams({
      response_type: 'code',
      response_mode: 'form_post',
      client_id: 'posted',
      redirect_uri: callback,
      scope: 'openid fhirUser',
      state: 'abc',
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
      code_challenge_method: 'S256',
    });
    const context = await browser.newContext(PHONE);
    const page = await context.newPage();
    await page.goto(`${server.issuer}/authorize?${query}`);
    await page.fill('[name=username]', 'patient');
    await page.fill('[name=password]', PASSWORD);
    await page.click('button.primary');
    await page.click('button[value=allow]');
    await page.waitForURL(callback);
    expect(new URLSearchParams(got.join('')).get('state')).toBe('abc');
    expect(new URLSearchParams(got.join('')).get('code')).toMatch(/^[\w-]{43}$/);
    await context.close();
    listening.close();
  },
);

withChromium('a passkey: made at the account, used to sign in, after a password, and alone', async () => {
  const context = await browser.newContext(PHONE);
  const page = await context.newPage();
  const devices = await context.newCDPSession(page);
  await devices.send('WebAuthn.enable');
  await devices.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
    },
  });
  await page.goto(`${server.issuer}/account`);
  await page.fill('[name=username]', 'patient');
  await page.fill('[name=password]', PASSWORD);
  await page.click('button.primary');
  await page.click('button:text("Add a passkey")');
  await page.waitForSelector('button:text("Remove")');
  await picture(page, 'passkeys');
  await page.click('button:text("Sign out")');
  await page.click('button:text("Sign in with a passkey")');
  await page.waitForSelector('h1:text("Your account")');
  expect(await page.textContent('main')).toContain('last used');

  await page.click('button:text("Ask for both")');
  await page.waitForSelector('text=by password and passkey, both');
  await picture(page, 'both');
  await page.click('button:text("Sign out")');
  await page.fill('[name=username]', 'patient');
  await page.fill('[name=password]', PASSWORD);
  await page.click('button.primary');
  await page.waitForSelector('text=Now use your passkey');
  await picture(page, 'second');
  await page.click('button:text("Use your passkey")');
  await page.waitForSelector('h1:text("Your account")');

  await page.click('button:text("Sign in by passkey alone")');
  await page.waitForSelector('text=you sign in by passkey alone');
  await page.click('button:text("Remove")');
  await page.waitForSelector('text=you could not sign in without this passkey');
  await page.goto(`${server.issuer}/account`);
  await page.click('button:text("Sign out")');
  await page.fill('[name=username]', 'patient');
  await page.fill('[name=password]', PASSWORD);
  await page.click('button.primary');
  await page.waitForSelector('text=User name or password is wrong');
  await page.click('button:text("Sign in with a passkey")');
  await page.waitForSelector('h1:text("Your account")');
  await context.close();
});
