/** /docs shows openapi.yaml by Swagger UI; /openapi.yaml is the file itself. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import express, { type Router } from 'express';

const OPENAPI = join(import.meta.dirname, '../../openapi.yaml');
const SWAGGER = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));

/** What Swagger UI needs: its own scripts, styles it sets itself, calls to this server. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "frame-ancestors 'none'",
].join('; ');

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Consilium: FHIR R4 API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
`;

const START = `SwaggerUIBundle({ url: 'openapi.yaml', dom_id: '#swagger-ui', deepLinking: true, validatorUrl: null });
`;

const FILES = new Set(['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png']);

/** Routes of the documentation. */
export function docs(): Router {
  // strict: the page's own links are relative to /docs without a slash
  const router = express.Router({ strict: true });
  router.get('/docs', (_request, response) => {
    response.set('Content-Security-Policy', POLICY).type('html').send(PAGE);
  });
  router.get('/docs/', (_request, response) => response.redirect(301, '../docs'));
  router.get('/docs/start.js', (_request, response) => {
    response.type('js').send(START);
  });
  router.get('/docs/:file', (request, response, next) => {
    if (!FILES.has(request.params.file)) return next();
    response.sendFile(request.params.file, { root: SWAGGER, maxAge: '1d' });
  });
  router.get('/openapi.yaml', (_request, response) => {
    response.set('Access-Control-Allow-Origin', '*').type('application/yaml');
    response.sendFile(OPENAPI, { headers: { 'Content-Type': 'application/yaml; charset=utf-8' } });
  });
  return router;
}
