/** A page with a film in it. */
import type { Browser } from 'playwright-core';

export interface Played {
  readonly videoWidth: number;
  readonly videoHeight: number;
  /** seconds */
  readonly duration: number;
  /** where it went on, in seconds */
  readonly from: number;
  /** shown */
  readonly frames: number;
  /** ms from the wish to be elsewhere to the first frame there */
  readonly seek: number;
  /** Content-Range of the answers */
  readonly ranges: readonly string[];
}

/** Plays half a second of a film, from a time on. */
export async function playedAt(browser: Browser, url: string, seconds: number): Promise<Played> {
  const page = await browser.newPage();
  const ranges: string[] = [];
  page.on('response', (response) => {
    if (response.status() === 206) ranges.push(response.headers()['content-range'] ?? '');
  });
  try {
    await page.setContent(`<video muted src="${url}"></video>`);
    const seen = (await page.evaluate(`(${PLAY})(${seconds})`)) as Omit<Played, 'ranges'>;
    return { ...seen, ranges };
  } finally {
    await page.close();
  }
}

/** Runs in the page. */
const PLAY = `async (seconds) => {
  const film = document.querySelector('video');
  const happened = (name) => new Promise((resolve, reject) => {
    film.addEventListener(name, resolve, { once: true });
    film.addEventListener('error', () => reject(new Error(film.error?.message)), { once: true });
  });
  if (film.readyState === 0) await happened('loadedmetadata');
  const { videoWidth, videoHeight, duration } = film;
  const seeked = happened('seeked');
  const began = performance.now();
  film.currentTime = seconds;
  await seeked;
  const seek = Math.round(performance.now() - began);
  const from = film.currentTime;
  await film.play();
  while (film.currentTime < from + 0.5) await new Promise((resolve) => setTimeout(resolve, 20));
  const frames = film.getVideoPlaybackQuality().totalVideoFrames;
  return { videoWidth, videoHeight, duration, from, frames, seek };
}`;
