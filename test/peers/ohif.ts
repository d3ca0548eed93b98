/** OHIF, the viewer, in a headless Chromium: it lists, opens and shows studies with an access token, from another origin. */
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Browser, chromium, type Page } from 'playwright-core';
import sharp from 'sharp';
import { textIn } from '../../src/imaging/attributes.ts';
import { dicomwebOf } from '../http/imaging/dicomweb.ts';
import { attributesOf, type Peers, type Sample } from './samples.ts';

const HOW = 'npm pack @ohif/app@3.12.10, unpack it, and name its folder package/dist by --ohif';
const CHROMIUM = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser'];
/** An MR, an X-ray, and one in colors. */
const SHOWN = ['mr-implicit-le.dcm', 'cr-xray-j2k-lossy.dcm', 'us-rgb.dcm'];
const PATIENCE = 60_000;

export async function showsInOhif({ app, samples, report, ohif }: Peers): Promise<void> {
  if (!ohif || !existsSync(join(ohif, 'index.html'))) return report.skip('OHIF', HOW);
  const executablePath = CHROMIUM.find((path) => path && existsSync(path));
  if (!executablePath) return report.skip('OHIF', 'apt-get install chromium, or set CHROMIUM');
  const server = await serve(ohif, `${app.url}/dicomweb`);
  const { port } = server.address() as AddressInfo;
  const browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'],
  });
  const trial = { browser, site: `http://127.0.0.1:${port}`, token: app.token, report };
  try {
    for (const name of SHOWN) {
      const sample = samples.find((one) => one.name === name);
      if (!sample) {
        report.skip(`OHIF: ${name}`, 'it is not in the folder');
        continue;
      }
      await dicomwebOf(() => app).stow([sample.bytes]);
      await shows(trial, sample);
    }
  } finally {
    await browser.close();
    server.close();
  }
}

interface Trial {
  readonly browser: Browser;
  readonly site: string;
  readonly token: string;
  readonly report: Peers['report'];
}

async function shows({ browser, site, token, report }: Trial, sample: Sample): Promise<void> {
  const { name } = sample;
  const study = textIn(await attributesOf(sample), '0020000D') as string;
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  const refused: string[] = [];
  page.on('response', (answer) => {
    if (answer.url().includes('/dicomweb/') && answer.status() >= 400)
      refused.push(`${answer.status()} ${new URL(answer.url()).pathname}`);
  });
  try {
    await page.goto(`${site}/viewer?StudyInstanceUIDs=${study}&token=${token}`);
    const spread = await spreadOf(page);
    report.check(`OHIF shows ${name}`, spread > 10, `its gray levels spread by ${spread.toFixed(1)}`);
    report.check(`and all that it asked for ${name} was there`, refused.length === 0, refused.join(', '));
    await keep(page, name);
  } finally {
    await page.close();
  }
}

/** How much the gray levels of the picture differ, as soon as one is there: nearly 0 of what is black. */
async function spreadOf(page: Page): Promise<number> {
  const canvas = page.locator('canvas.cornerstone-canvas').first();
  let spread = 0;
  for (const until = Date.now() + PATIENCE; Date.now() < until && spread <= 10; await sleep(1000)) {
    if ((await canvas.count()) === 0) continue;
    // the middle, without the texts at its corners
    const box = await canvas.boundingBox();
    if (!box) continue;
    const clip = {
      ...{ x: box.x + box.width / 3, y: box.y + box.height / 3 },
      ...{ width: box.width / 3, height: box.height / 3 },
    };
    const { channels } = await sharp(await page.screenshot({ clip }))
      .greyscale()
      .stats();
    spread = channels[0]?.stdev ?? 0;
  }
  return spread;
}

/** A picture to look at, where SCREENSHOTS names a folder. */
async function keep(page: Page, name: string): Promise<void> {
  const folder = process.env.SCREENSHOTS;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `ohif-${name.replace(/\.dcm$/, '')}.png`) });
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
};

/** The viewer's files, with a configuration that names our DICOMweb. */
async function serve(folder: string, dicomweb: string): Promise<Server> {
  const config = `window.config = ${JSON.stringify(configuration(dicomweb))};`;
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url ?? '/', 'http://localhost').pathname);
    if (path === '/app-config.js') {
      response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(config);
      return;
    }
    // what is no file is a page of the app
    const file = extname(path) in TYPES ? path : '/index.html';
    const bytes = await readFile(join(folder, file)).catch(() => undefined);
    response.writeHead(bytes ? 200 : 404, { 'Content-Type': TYPES[extname(file)] ?? '' }).end(bytes);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return server;
}

const configuration = (root: string) => ({
  routerBasename: '/',
  extensions: [],
  modes: [],
  showStudyList: true,
  maxNumberOfWebWorkers: 2,
  showLoadingIndicator: true,
  showWarningMessageForCrossOrigin: false,
  showCPUFallbackMessage: false,
  strictZSpacingForVolumeViewport: true,
  maxNumRequests: { interaction: 10, thumbnail: 5, prefetch: 5 },
  investigationalUseDialog: { option: 'never' },
  defaultDataSourceName: 'consilium',
  dataSources: [
    {
      namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
      sourceName: 'consilium',
      configuration: {
        friendlyName: 'Consilium',
        name: 'consilium',
        ...{ qidoRoot: root, wadoRoot: root, wadoUriRoot: `${root}/wado` },
        qidoSupportsIncludeField: true,
        imageRendering: 'wadors',
        thumbnailRendering: 'wadors',
        enableStudyLazyLoad: true,
        supportsFuzzyMatching: true,
        supportsWildcard: true,
        dicomUploadEnabled: true,
        bulkDataURI: { enabled: true },
      },
    },
  ],
});
