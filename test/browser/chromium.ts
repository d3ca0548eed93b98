/** Where a Chromium is: CHROMIUM, or one of the usual places. */
import { existsSync } from 'node:fs';

export const FOUND = [
  process.env.CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((path) => path && existsSync(path));
