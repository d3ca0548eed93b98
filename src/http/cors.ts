/** Browser apps of any origin may call: they show an access token, never a cookie (Fetch standard, CORS protocol). */
import type { Headers } from './exchange.ts';

const EXPOSED = [
  'Accept-Patch',
  'Accept-Ranges',
  'Allow',
  'Content-Disposition',
  'Content-Location',
  'Content-Range',
  'ETag',
  'Expires',
  'Last-Modified',
  'Link',
  'Location',
  'Preference-Applied',
  'Retry-After',
  'Warning',
  'WWW-Authenticate',
  'X-Progress',
  'X-Request-Id',
  'X-Security-Context',
  'X-Total-Count',
].join(', ');

const ASKED = [
  'Accept',
  'Authorization',
  'Content-Encoding',
  'Content-Type',
  'If-Match',
  'If-Modified-Since',
  'If-None-Exist',
  'If-None-Match',
  'If-Range',
  'Prefer',
  'Range',
  'X-Keep-Original',
  'X-Request-Id',
  'X-Security-Context',
].join(', ');

/** Headers of an answer to a browser app. */
export function cors(): Headers {
  return ['Access-Control-Allow-Origin', '*', 'Access-Control-Expose-Headers', EXPOSED];
}

/** Headers of the answer to its question beforehand. */
export function preflight(methods: string): Headers {
  return [
    'Access-Control-Allow-Methods',
    methods,
    'Access-Control-Allow-Headers',
    ASKED,
    'Access-Control-Max-Age',
    7200,
  ];
}
