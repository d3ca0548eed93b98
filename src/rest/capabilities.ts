/** capabilities (R4 http.html#capabilities): made from what is routed. */
import type {
  CapabilityStatement,
  CapabilityStatementRestResource,
  CapabilityStatementRestSecurity,
  TerminologyCapabilities,
} from 'fhir/r4.js';
import type { Operation } from '../fhir/definitions.ts';
import { invalid } from '../fhir/outcome.ts';
import { answerJson } from '../http/answer.ts';
import { type Context, fhirBase, type Routes, type Visit } from '../http/exchange.ts';
import { endpointsOf } from '../http/issuer.ts';
import { once } from '../http/parameters.ts';
import { ofAllTypes, searchOf } from './searchable.ts';

const MODES = ['full', 'normative', 'terminology'];

/** Types whose content is normative in R4 (versions.html#std-process). */
const NORMATIVE = new Set([
  'Binary',
  'Bundle',
  'CapabilityStatement',
  'CodeSystem',
  'Observation',
  'OperationDefinition',
  'OperationOutcome',
  'Parameters',
  'Patient',
  'StructureDefinition',
  'ValueSet',
]);

/** Makes the answer to GET [base]/metadata; each mode's text is made at its first use, and kept as long as it is right. */
export function makeCapabilities(context: Context, routes: Routes): (visit: Visit) => Promise<void> {
  const date = new Date().toISOString();
  const texts = new Map<string, { readonly answering: string; readonly text: string }>();
  return async (visit) => {
    const { mode = 'full' } = once(visit.parameters, ['mode']);
    if (!MODES.includes(mode))
      throw invalid('value', `mode is full, normative or terminology, not "${mode.slice(0, 80)}"`);
    await context.records.refreshDefinitions();
    const { parameters } = context.definitions.posted;
    const answering = parameters.map(({ parameter, answers }) => (answers ? parameter.posted : '')).join();
    const known = texts.get(mode);
    const text =
      known?.answering === answering ? known.text : JSON.stringify(statement(context, routes, date, mode));
    texts.set(mode, { answering, text });
    return answerJson(visit, 200, [], text);
  };
}

function statement(
  context: Context,
  routes: Routes,
  date: string,
  mode: string,
): CapabilityStatement | TerminologyCapabilities {
  const software = { name: 'Consilium', version: context.version };
  const implementation = { description: 'Consilium FHIR R4 server', url: fhirBase(context) };
  if (mode === 'terminology')
    return {
      resourceType: 'TerminologyCapabilities',
      status: 'active',
      date,
      kind: 'instance',
      software,
      implementation,
    };

  const all = Object.values(routes).flatMap((methods) => Object.values(methods));
  const names = new Set(all.map(({ name }) => name));
  const { definitions } = context;
  const types = definitions.resourceTypes.filter((type) => mode === 'full' || NORMATIVE.has(type));
  return {
    resourceType: 'CapabilityStatement',
    status: 'active',
    date,
    kind: 'instance',
    software,
    implementation,
    fhirVersion: '4.0.1',
    format: ['application/fhir+json', 'json'],
    patchFormat: ['application/json-patch+json', 'application/fhir+json'],
    rest: [
      {
        mode: 'server',
        security: securityOf(context),
        resource: types.map((type) => ({
          ...resourceOf(context, type, names),
          ...operationsOf(context, routes, type),
        })),
        searchParam: ofAllTypes(definitions),
        ...operationsOf(context, routes),
        interaction: SYSTEM.filter((code) => names.has(code) || code === 'batch').map((code) => ({ code })),
        compartment: [...definitions.compartments].map(compartmentUrl),
      },
    ],
  };
}

/** The standard's CompartmentDefinition of a type. */
const compartmentUrl = (type: string): string =>
  `http://hl7.org/fhir/CompartmentDefinition/${type.charAt(0).toLowerCase()}${type.slice(1)}`;

/** SMART App Launch 1.0.0, conformance: the endpoints of smart-configuration once more. */
function securityOf(context: Context): CapabilityStatementRestSecurity {
  const { authorize, token, introspect, manage, register, revoke } = endpointsOf(context);
  const uris = { authorize, token, introspect, manage, register, revoke };
  return {
    extension: [
      {
        url: 'http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris',
        extension: Object.entries(uris).flatMap(([url, valueUri]) => (valueUri ? [{ url, valueUri }] : [])),
      },
    ],
    cors: true,
    service: [
      {
        coding: [
          {
            system: 'http://terminology.hl7.org/CodeSystem/restful-security-service',
            code: 'SMART-on-FHIR',
            display: 'SMART-on-FHIR',
          },
        ],
        text: 'OAuth 2.0 by SMART App Launch (http://smarthealthit.org)',
      },
    ],
    description: 'Every interaction but this one needs an access token: Authorization: Bearer TOKEN',
  };
}

const SYSTEM = ['transaction', 'batch', 'search-system', 'history-system'] as const;
const TYPE = [
  'read',
  'vread',
  'update',
  'patch',
  'delete',
  'history-instance',
  'history-type',
  'create',
  'search-type',
] as const;

function resourceOf(
  { definitions, config }: Context,
  type: string,
  names: ReadonlySet<string>,
): CapabilityStatementRestResource {
  return {
    type: type as CapabilityStatementRestResource['type'],
    profile: `http://hl7.org/fhir/StructureDefinition/${type}`,
    interaction: TYPE.filter((code) => names.has(code)).map((code) => ({ code })),
    versioning: 'versioned',
    readHistory: true,
    updateCreate: true,
    conditionalCreate: true,
    conditionalRead: 'full-support',
    conditionalUpdate: true,
    conditionalDelete: config.deleteMatches > 1 ? 'multiple' : 'single',
    referencePolicy: ['literal', 'logical', ...(config.references === 'check' ? ['enforced' as const] : [])],
    ...searchOf(definitions, type),
  };
}

/**
 * The operations that are called on a type or its resources, or on the system, by the definitions that they are checked
 * against.
 *
 * @param type undefined: on the system
 */
function operationsOf(
  { definitions }: Context,
  routes: Routes,
  type?: string,
): Pick<CapabilityStatementRestResource, 'operation'> {
  const codes = new Set(
    Object.keys(routes).flatMap((pattern) => {
      const [, place, code] = /^(?:\/([^/]+)(?:\/.*)?)?\/\$(.+)$/.exec(pattern) ?? [];
      return code !== undefined && (place === type || (type && place === ':type')) ? [code] : [];
    }),
  );
  const isFor = ({ resource, system }: Operation): boolean =>
    type === undefined ? system : resource.includes(type) || resource.includes('Resource');
  const operation = definitions.operations
    .filter((one) => codes.has(one.code) && isFor(one))
    .map(({ code, url }) => ({ name: code, definition: url }));
  return operation.length > 0 ? { operation } : {};
}
