/** The grammar of FHIR's URLs (R4 http.html#styleguide): what a path under the base names. */
import type { Definitions, Operation } from '../fhir/definitions.ts';
import { invalid, type Refusal, refusal } from '../fhir/outcome.ts';
import { isId } from '../fhir/reference.ts';
import { nearest } from '../fhir/validation/nearest.ts';

/** Of an operation, by its OperationDefinition: `/:type/:id/$meta`, `/Patient/$everything`. */
export type OperationPattern = `/${string}$${string}`;

/** The shapes of paths, as routes are written, logged and counted. */
export type Pattern =
  | OperationPattern
  | '/'
  | '/metadata'
  | '/.well-known/smart-configuration'
  | '/_history'
  | '/_search'
  | '/_async/:id'
  | '/_link/:id'
  | '/:type'
  | '/:type/_search'
  | '/:type/_history'
  | '/:type/:id'
  | '/:type/:id/_history'
  | '/:type/:id/_history/:version'
  | '/:type/:id/:member'
  | '/:type/:id/:member/_search';

/** What a path names; '' for what its pattern does not have. */
export interface FhirPath {
  readonly pattern: Pattern;
  readonly type: string;
  readonly id: string;
  readonly version: string;
  /** the type that is searched in the compartment of type and id; `*` all */
  readonly member?: string;
  readonly operation?: Operation;
}

/**
 * Reads a path under the FHIR base. A slash at the end is tolerated.
 *
 * @param text    what follows the base, without the query: `/Patient/1`; '' for the base itself
 * @param method  a PUT to an impossible id is the client's mistake, anything else finds nothing there
 * @throws        Refusal 404 where it names nothing; 400 for a bad escape, or an impossible id in PUT
 */
export function readPath(text: string, method: string | undefined, definitions: Definitions): FhirPath {
  const end = text.endsWith('/') ? text.length - 1 : text.length;
  if (end <= 0) return { pattern: '/', type: '', id: '', version: '' };
  const segments = text.slice(1, end).split('/');
  const [type = '', id = '', history, version = ''] = text.includes('%') ? segments.map(decoded) : segments;
  const length = segments.length;

  if (length === 1 && (type === 'metadata' || type === '_history' || type === '_search'))
    return { pattern: `/${type}`, type: '', id: '', version: '' };
  if (length === 2 && type === '.well-known' && id === 'smart-configuration')
    return { pattern: '/.well-known/smart-configuration', type: '', id: '', version: '' };
  if (length === 2 && (type === '_async' || type === '_link'))
    return { pattern: `/${type}/:id`, type: '', id, version: '' };
  const last = length === 1 ? type : length === 2 ? id : length === 3 ? history : segments[length - 1];
  if (last?.startsWith('$')) return readOperation(last, segments.slice(0, -1).map(decoded), definitions);
  if (!definitions.isResourceType(type)) throw noType(type, definitions);
  if (length === 1) return { pattern: '/:type', type, id: '', version: '' };
  if (length === 2 && (id === '_search' || id === '_history'))
    return { pattern: `/:type/${id}`, type, id: '', version: '' };

  if (!isId(id)) throw impossibleId(type, id, method);
  if (length === 2) return { pattern: '/:type/:id', type, id, version: '' };
  if (history === '_history') {
    if (length === 3) return { pattern: '/:type/:id/_history', type, id, version: '' };
    if (length === 4 && isId(version)) return { pattern: '/:type/:id/_history/:version', type, id, version };
    if (length === 4)
      throw refusal(404, 'not-found', `There is no version "${shown(version)}" of ${type}/${id}`);
  }
  const isSearch = length === 3 || (length === 4 && version === '_search');
  if (isSearch && history !== undefined && (history === '*' || definitions.isResourceType(history))) {
    const pattern = length === 3 ? '/:type/:id/:member' : '/:type/:id/:member/_search';
    if (definitions.compartments.has(type)) return { pattern, type, id, version: '', member: history };
    throw refusal(
      404,
      'not-supported',
      `There is no compartment of ${type}, only of ${[...definitions.compartments].join(', ')}: use a search parameter`,
    );
  }
  throw refusal(404, 'not-found', 'This URL is none of the FHIR API: see R4 http.html for those there are');
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw invalid('value', `"${shown(segment)}" in the URL holds a bad percent escape`);
  }
}

/**
 * An operation, on the system, a type, an instance, or a version of one (R4 operations.html#executing).
 *
 * @param called with the $ before its code
 * @param on     the segments before it
 */
function readOperation(called: string, on: readonly string[], definitions: Definitions): FhirPath {
  const [type = '', id = '', history, version = ''] = on;
  const known = definitions.operations.filter(({ code }) => `$${code}` === called);
  if (known.length === 0)
    throw refusal(404, 'not-supported', `${shown(called)} is no operation that this server knows`);
  if (on.length > 0 && !definitions.isResourceType(type)) throw noType(type, definitions);
  if (on.length > 1 && !isId(id)) throw impossibleId(type, id, undefined);
  const level = on.length === 0 ? 'system' : on.length === 1 ? 'type' : 'instance';
  const operation = known.find(
    (one) => one[level] && (on.length === 0 || one.resource.includes(type) || isForAll(one)),
  );
  const isVersion = on.length === 4 && history === '_history' && isId(version);
  // Those that are for all types may be called on a version, too (R4 resource-operation-meta.html).
  if (
    !operation ||
    on.length === 3 ||
    on.length > 4 ||
    (on.length === 4 && !(isVersion && isForAll(operation)))
  )
    throw refusal(404, 'not-supported', `${called} is not called here: it is for ${placesOf(known)}`);
  const named = isForAll(operation) ? ':type' : type;
  const place = ['', `/${named}`, `/${named}/:id`, '', `/${named}/:id/_history/:version`][on.length];
  return { pattern: `${place as ''}/${called as '$'}`, type, id, version, operation };
}

const isForAll = ({ resource }: Operation): boolean => resource.includes('Resource');

function placesOf(operations: readonly Operation[]): string {
  const places = operations.flatMap((one) => {
    const types = isForAll(one) ? ['[type]'] : one.resource;
    return [
      ...(one.system ? [`/$${one.code}`] : []),
      ...types.flatMap((type) => [
        ...(one.type ? [`/${type}/$${one.code}`] : []),
        ...(one.instance ? [`/${type}/[id]/$${one.code}`] : []),
      ]),
    ];
  });
  return places.join(', ');
}

function noType(type: string, definitions: Definitions): Refusal {
  const meant = nearest(type, definitions.resourceTypes);
  const hint = meant ? `: did you mean ${meant}?` : '';
  return refusal(404, 'not-supported', `"${shown(type)}" is no resource type of FHIR R4${hint}`);
}

function impossibleId(type: string, id: string, method: string | undefined): Refusal {
  const rule = 'an id is 1 to 64 letters, digits, "-" and "." (R4 datatypes.html#id)';
  if (method === 'PUT') return invalid('value', `"${shown(id)}" cannot be the id of a ${type}: ${rule}`);
  return refusal(404, 'not-found', `There is no ${type} "${shown(id)}": ${rule}`);
}

/** A text of the client's that is safe and short enough to be said back. */
function shown(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
