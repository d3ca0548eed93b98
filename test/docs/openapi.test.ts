/** openapi.yaml against what is routed, in both directions, and its examples against a server with sample patients. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Express } from 'express';
import { pino } from 'pino';
import request, { type Test } from 'supertest';
import { parseDocument } from 'yaml';
import { readConfig } from '../../src/config.ts';
import { type Definitions, loadDefinitions } from '../../src/fhir/definitions.ts';
import { loadValidator, type Validator } from '../../src/fhir/validate.ts';
import type { Interaction } from '../../src/http/exchange.ts';
import { endpointsOf } from '../../src/http/issuer.ts';
import { makeMeters } from '../../src/http/meters.ts';
import { makePages } from '../../src/http/pages.ts';
import { ROUTES } from '../../src/imaging/serve.ts';
import { makeOperations } from '../../src/operations/table.ts';
import { makeRoutes } from '../../src/rest/routes.ts';
import type { SmartContext } from '../../src/smart/context.ts';
import { routesOf } from '../../src/smart/server.ts';
import { startApp, type TestApp } from '../http/app.ts';

const ROOT = join(import.meta.dirname, '../..');
const text = readFileSync(join(ROOT, 'openapi.yaml'), 'utf8');
const document = parseDocument(text);
const description = document.toJS() as Description;

interface Description {
  readonly openapi: string;
  readonly info: { readonly version: string };
  readonly paths: Readonly<Record<string, Path>>;
  readonly components: { readonly examples: Readonly<Record<string, { readonly value: Json }>> };
}
type Json = Readonly<Record<string, unknown>>;
type Path = { readonly parameters?: readonly Ref[] } & Readonly<Record<string, Operation>>;
type Ref = Json & { readonly $ref?: string };
interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly Ref[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Content>> };
  readonly responses: Readonly<Record<string, Ref>>;
  readonly security?: readonly unknown[];
}
interface Content {
  readonly example?: Json;
  readonly examples?: Readonly<Record<string, Ref>>;
}

const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options'] as const;

let definitions: Definitions;
let validator: Validator;

beforeAll(async () => {
  definitions = await loadDefinitions();
  validator = await loadValidator(definitions);
});

/** `GET /fhir/{type}` and its like. */
function described(): string[] {
  return Object.entries(description.paths).flatMap(([path, operations]) =>
    METHODS.filter((method) => operations[method]).map((method) => `${method.toUpperCase()} ${path}`),
  );
}

/** The routes under /fhir; HEAD goes with GET, OPTIONS with all. */
function fhirRoutes(isWanted: (interaction: Interaction) => boolean = () => true): string[] {
  const log = pino({ level: 'silent' });
  const nothing = undefined as never;
  const context = {
    config: readConfig({}),
    definitions,
    records: nothing,
    seal: nothing,
    log,
    version: '0',
  };
  return Object.entries(
    makeRoutes(
      context,
      makeOperations(context, {
        contents: nothing,
        links: nothing,
        imaging: { studies: nothing, review: nothing },
      }),
      { name: 'discovery', open: () => {} },
    ),
  ).flatMap(([pattern, methods]) =>
    Object.entries(methods)
      .filter(([, interaction]) => isWanted(interaction))
      .map(([method]) => `${method} ${written(`/fhir${pattern === '/' ? '' : pattern}`)}`),
  );
}

/** The routes of Express, those of routers within it too. */
function pageRoutes(): string[] {
  const log = pino({ level: 'silent' });
  const pages = makePages({ log, meters: makeMeters(), ready: async () => {}, uploads: async () => {} });
  const found = new Set<string>();
  const look = ({ stack }: { readonly stack: readonly Layer[] }): void => {
    for (const { route, handle } of stack) {
      if (handle.stack) look({ stack: handle.stack });
      if (!route) continue;
      // a slash at the end leads to the same page
      for (const method of Object.keys(route.methods))
        found.add(`${method.toUpperCase()} ${written(route.path.replace(/(?<=.)\/$/, ''))}`);
    }
  };
  look((pages as Express & { router: { stack: Layer[] } }).router);
  return [...found];
}

/** What programs ask of the authorization server; pages and files are for people. */
function authRoutes(): string[] {
  const config = readConfig({ REGISTRATION: 'token' });
  const context = { config, endpoints: endpointsOf({ config }), root: '/auth' } as SmartContext;
  const own = routesOf(context)
    .filter(({ api, name }) => api && !/\.(?:css|js|json)$|^\/passkey\//.test(name))
    .map(({ method, name }) => `${method} ${written(`/auth${name}`)}`);
  // a page, but where a program sends people; and what oidc-provider routes by itself
  return [...new Set([...own, 'GET /auth/authorize', 'GET /auth/jwks'])];
}

function dicomwebRoutes(): string[] {
  return Object.entries(ROUTES).flatMap(([pattern, methods]) =>
    Object.keys(methods).map((method) => `${method} ${written(`/dicomweb${pattern}`)}`),
  );
}

interface Layer {
  readonly route?: { readonly path: string; readonly methods: Json };
  readonly handle: { readonly stack?: readonly Layer[] };
}

const written = (path: string): string => path.replace(/:(\w+)/g, '{$1}');

/** Every object in the description, with where it is. */
function* objects(value: unknown, at = '#'): Generator<[string, Json]> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield [at, value as Json];
  for (const [name, inner] of Object.entries(value)) yield* objects(inner, `${at}/${name}`);
}

/** What a `$ref` leads to; other values are themselves. */
function resolved<T>(value: Ref | T): T {
  const { $ref } = value as Ref;
  if ($ref === undefined) return value as T;
  const steps = $ref.slice(2).split('/');
  return steps.reduce(
    (inner, step) => (inner as Record<string, unknown>)?.[step],
    description as unknown,
  ) as T;
}

describe('openapi.yaml', () => {
  test('is YAML without a fault, of OpenAPI 3.1, at the version of the package', () => {
    expect(document.errors).toEqual([]);
    expect(document.warnings).toEqual([]);
    expect(description.openapi).toBe('3.1.0');
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect(description.info.version).toBe(version);
  });

  test('describes all that is routed, under /fhir and beside it', () => {
    const known = new Set(described());
    const missing = [...fhirRoutes(), ...pageRoutes(), ...authRoutes(), ...dicomwebRoutes()].filter(
      (route) => !known.has(route),
    );
    // one of the files at /docs/{file} has a route of its own
    expect(missing).toEqual(['GET /docs/start.js']);
  });

  test('describes nothing that is not routed', () => {
    const routed = new Set([...fhirRoutes(), ...pageRoutes(), ...authRoutes(), ...dicomwebRoutes()]);
    for (const route of [...routed]) {
      const [method, path] = route.split(' ') as [string, string];
      if (method === 'GET') routed.add(`HEAD ${path}`);
      if (path.startsWith('/fhir')) routed.add(`OPTIONS ${path}`);
    }
    expect(described().filter((route) => !routed.has(route))).toEqual([]);
  });

  test('says of all under /fhir whether it takes an access token', () => {
    const open = described().filter((route) => {
      const [method = '', path = ''] = route.split(' ');
      const security = description.paths[path]?.[method.toLowerCase()]?.security;
      return (
        path.startsWith('/fhir') && /^(?:GET|POST|PUT|PATCH|DELETE)$/.test(method) && security?.length === 0
      );
    });
    expect(open.sort()).toEqual(fhirRoutes((interaction) => 'open' in interaction).sort());
  });

  test('every $ref leads somewhere, and every component is referred to', () => {
    const refs = [...objects(description)].flatMap(([, { $ref }]) =>
      typeof $ref === 'string' ? [$ref] : [],
    );
    expect(refs.filter(($ref) => resolved({ $ref }) === undefined)).toEqual([]);
    const used = new Set(refs);
    const components = Object.entries(description.components)
      .filter(([kind]) => kind !== 'securitySchemes')
      .flatMap(([kind, all]) => Object.keys(all).map((name) => `#/components/${kind}/${name}`));
    expect(components.filter((name) => !used.has(name))).toEqual([]);
  });

  test('every operation has its own id, and every parameter in a path is described', () => {
    const ids: string[] = [];
    for (const [path, operations] of Object.entries(description.paths))
      for (const method of METHODS) {
        const operation = operations[method];
        if (!operation) continue;
        ids.push(operation.operationId);
        const inPath = parametersOf(operations, operation).filter((parameter) => parameter.in === 'path');
        expect(inPath.map(({ name }) => `{${name}}`)).toEqual(path.match(/\{\w+\}/g) ?? []);
      }
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('every example that is a resource is a valid one', () => {
    const examples = [...objects(description)].filter(
      ([at, { resourceType }]) => typeof resourceType === 'string' && /\/(value|example)$/.test(at),
    );
    expect(examples.length).toBeGreaterThan(15);
    for (const [at, resource] of examples) expect([at, validator.validate(resource)]).toEqual([at, []]);
  });
});

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly example?: unknown;
}

function parametersOf(path: Path, operation: Operation): Parameter[] {
  return [...(path.parameters ?? []), ...(operation.parameters ?? [])].map((one) => resolved<Parameter>(one));
}

/** One that acts. */
const WARD = {
  resourceType: 'SearchParameter',
  id: 'ward',
  url: 'https://example.org/SearchParameter/ward',
  name: 'Ward',
  status: 'active',
  description: 'The ward that a patient lies on',
  code: 'ward',
  base: ['Patient'],
  type: 'string',
  expression: "Patient.extension.where(url = 'https://example.org/ward').value.as(string)",
};

describe('the examples', () => {
  let app: TestApp;

  beforeAll(async () => {
    app = await startApp();
    for (const file of ['00-organizations', '10-lopez', '12-sondergaard', '15-muller'])
      await send('post', '/fhir', readFileSync(join(ROOT, `fixtures/${file}.json`), 'utf8')).expect(200);
    await send('put', '/fhir/SearchParameter/ward', WARD).expect(201);
    await send('put', '/fhir/Composition/maria-lopez-summary', {
      ...{ resourceType: 'Composition', id: 'maria-lopez-summary', status: 'final', title: 'Summary' },
      ...{ type: { text: 'summary' }, date: '2026-01-01', author: [{ display: 'Clinic' }] },
      subject: { reference: 'Patient/maria-lopez' },
    }).expect(201);
  });
  afterAll(() => app.close());

  function send(method: (typeof METHODS)[number], path: string, body?: unknown): Test {
    const sent = request(app.url)[method](path).set('Authorization', `Bearer ${app.token}`);
    return body === undefined ? sent : sent.type('application/fhir+json').send(body as string);
  }

  /** The path with its own examples, and the query of all that have one. */
  function filled(path: string, parameters: readonly Parameter[]): string {
    let url = path;
    const query: string[] = [];
    const add = (name: string, value: unknown) => query.push(`${name}=${encodeURIComponent(String(value))}`);
    for (const { name, in: place, example } of parameters) {
      if (place === 'path') url = url.replace(`{${name}}`, String(example));
      if (place !== 'query' || example === undefined) continue;
      if (Array.isArray(example)) for (const one of example) add(name, one);
      else if (typeof example === 'object')
        for (const [inner, value] of Object.entries(example as Json)) add(inner, value);
      else add(name, example);
    }
    return query.length > 0 ? `${url}?${query.join('&')}` : url;
  }

  // deletions last: what is read must be there
  const order = Object.entries(description.paths)
    .flatMap(([path, operations]) => METHODS.map((method) => ({ path, method, operations })))
    .filter(({ method, operations }) => operations[method])
    // what can be named only after it was asked for has no example
    .filter(({ path }) => !/_async|_link|^\/fhir\/(?:Comm|Diag|Docu).*\/\$(?:content|link)$/.test(path))
    // nor have those that take what came of others (test/smart/, test/imaging/), and protocols of their own (uploads.test.ts)
    .filter(({ path }) => !/^\/(?:auth\/|dicomweb\/|uploads)|\$(?:send|release|reject)$/.test(path))
    .sort((a, b) => Number(a.method === 'delete') - Number(b.method === 'delete'));

  test.each(order)('$method $path works as it stands', async ({ path, method, operations }) => {
    const operation = operations[method] as Operation;
    const requestBody =
      operation.requestBody && resolved<Operation['requestBody'] & object>(operation.requestBody);
    const [contentType, content] = Object.entries(requestBody?.content ?? {})[0] ?? [];
    const example = Object.values(content?.examples ?? {}).map((one) => resolved<{ value: Json }>(one))[0];
    const sent = send(method, filled(path, parametersOf(operations, operation)));
    if (contentType) sent.type(contentType).send((example?.value ?? content?.example) as object);
    const answer = await sent;
    expect(Object.keys(operation.responses)).toContain(String(answer.status));
    expect(answer.status).toBeLessThan(300);
    const response = resolved<{ content?: Json; headers?: Json }>(
      operation.responses[String(answer.status)] as Ref,
    );
    const types = Object.keys(response.content ?? {});
    if (types.length > 0 && types[0] !== '*/*' && method !== 'head') expect(types).toContain(answer.type);
    if (operation.operationId.startsWith('search') || operation.operationId.startsWith('history'))
      expect(answer.body.entry.length).toBeGreaterThan(0);
  });

  test.each([
    ['Invalid', 'post', '/Observation', '{"resourceType":"Observation","code":{"text":"x"},"valu":1}'],
    ['BadJson', 'post', '/Observation', '{"resourceType":"Observation",'],
    ['UnknownParameter', 'get', '/Patient?famly=x', undefined],
    ['NotFound', 'get', '/Patient/nobody', undefined],
    ['UnknownType', 'get', '/Observaton', undefined],
    ['NotAcceptable', 'get', '/Patient/thomas-muller?_format=xml', undefined],
    ['WrongMethod', 'post', '/Patient/thomas-muller', undefined],
  ] as const)('the OperationOutcome %s is what is answered', async (name, method, path, body) => {
    const answer = await send(method, `/fhir${path}`, body);
    expect(answer.body).toEqual(description.components.examples[name]?.value);
  });

  test('and so are those of headers, tokens and versions', async () => {
    const { examples } = description.components;
    const heartRate = { id: 'heart-rate-1', ...examples.NewObservation?.value };
    await send('put', '/fhir/Observation/heart-rate-1', heartRate).expect(201);
    const stale = send('put', '/fhir/Observation/heart-rate-1', heartRate).set('If-Match', 'W/"7"');
    expect((await stale.expect(412)).body).toEqual(examples.VersionConflict?.value);
    await send('delete', '/fhir/Observation/heart-rate-1').expect(204);
    const { body } = await send('get', '/fhir/Observation/heart-rate-1').expect(410);
    const when = /\d{4}-[\d-]+T[\d:.]+Z/;
    const deleted = JSON.stringify(examples.Deleted?.value);
    expect(JSON.stringify(body).replace(when, '')).toBe(deleted.replace(when, ''));
    const form = send('post', '/fhir/Observation').type('application/x-www-form-urlencoded').send('a=b');
    expect((await form.expect(415)).body).toEqual(examples.UnsupportedMediaType?.value);
    const range = send('get', '/fhir/Binary/bjorn-sondergaard-echo-clip').set('Range', 'bytes=99999-');
    expect((await range.expect(416)).body).toEqual(examples.Range?.value);
    const nobody = await request(app.url).get('/fhir/Patient/thomas-muller').expect(401);
    expect(nobody.body).toEqual(examples.NoToken?.value);
    const token = await app.app.issueToken({ scope: 'system/Observation.rs', client: 'test', minutes: 1 });
    const little = send('get', '/fhir/Patient/thomas-muller').set('Authorization', `Bearer ${token}`);
    expect((await little.expect(403)).body).toEqual(examples.NoScope?.value);
  });
});

test('REFERENCES=check: the OperationOutcome Dangling is what is answered', async () => {
  const app = await startApp({ REFERENCES: 'check' });
  const body = { ...description.components.examples.NewObservation?.value };
  const dangling = { ...body, subject: { reference: 'Patient/nobody' } };
  const answer = await app.send('post', '/Observation').type('application/fhir+json').send(dangling);
  await app.close();
  expect(answer.status).toBe(422);
  expect(answer.body).toEqual(description.components.examples.Dangling?.value);
});
