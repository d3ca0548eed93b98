/** The Chromium that pages are looked at in: CHROMIUM, or one in the usual places; undefined where there is none. */
import { existsSync } from 'node:fs';

export const CHROMIUM = [
  process.env.CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((path) => path && existsSync(path));
