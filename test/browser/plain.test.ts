/** Forms over plain http, by another name than localhost: browsers tell less of where a form comes from. */
import { type Browser, chromium } from 'playwright-core';
import { freePort, PASSWORD, type SmartServer, startSmart } from '../smart/server.ts';
import { FOUND } from './chromium.ts';

let server: SmartServer | undefined;
let browser: Browser | undefined;
afterAll(async () => {
  await browser?.close();
  await server?.close();
});

(FOUND ? test : test.skip)('on a network of one’s own people sign in and out, too', async () => {
  const port = String(await freePort());
  const base = `http://clinic.example:${port}`;
  server = await startSmart({ PORT: port, BASE_URL: base });
  const args = ['--no-sandbox', '--host-resolver-rules=MAP clinic.example 127.0.0.1'];
  browser = await chromium.launch({ executablePath: FOUND, args });
  const page = await browser.newPage();
  page.setDefaultTimeout(5000);
  await page.goto(`${base}/auth/account`);
  await page.fill('[name=username]', 'doctor');
  await page.fill('[name=password]', PASSWORD);
  await page.click('button.primary');
  await page.waitForSelector('h1:text("Your account")');
  await page.click('button:text("Sign out")');
  await page.waitForSelector('h1:text("Sign in")');
});
