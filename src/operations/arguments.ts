/**
 * What an operation is called with: a query, or Parameters as body, each checked against its OperationDefinition
 * (R4 operations.html#request).
 */
import type { Operation, OperationParameter } from '../fhir/definitions.ts';
import { parseJson } from '../fhir/json.ts';
import { invalid, type Refusal } from '../fhir/outcome.ts';
import * as primitives from '../fhir/validation/primitives.ts';
import { readText } from '../http/body.ts';
import type { Context, Exchange } from '../http/exchange.ts';
import { demandFhirJson } from '../http/negotiation.ts';
import type { Parameter } from '../search/query-string.ts';

export interface Arguments {
  /** of primitive types, as a query would have them, in the order given */
  readonly parameters: readonly Parameter[];
  /** those that the definition does not have, where these are taken */
  readonly others: readonly Parameter[];
  /** The value of a primitive parameter that is given once. */
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
  /** Values of a parameter of a complex type. */
  values(name: string): readonly Tree[];
}

export type Tree = Readonly<Record<string, unknown>>;

/** Whether a parameter that the definition does not have is taken. */
export type Takes = (name: string) => boolean;

/**
 * Reads what is given in the URL and in the body, which may be left out.
 *
 * @throws Refusal 400 naming the parameter: unknown, given too often, missing, or of another type; 415
 */
export async function readArguments(
  context: Context,
  exchange: Exchange,
  takes: Takes = () => false,
): Promise<Arguments> {
  const operation = exchange.path.operation as Operation;
  const given = exchange.parameters
    .filter(([, value]) => value !== '')
    .map(([name, value]) => fromQuery(operation, name, value, takes));
  if (exchange.request.method === 'POST')
    given.push(...(await fromBody(context, exchange, operation, takes)));
  for (const definition of operation.parameters) checkNumber(operation, definition, given);
  const of = (name: string): readonly Given[] => given.filter((one) => one.name === name);
  const written = (known: boolean): Parameter[] =>
    given.flatMap(({ definition, name, text }) =>
      text !== undefined && (definition !== undefined) === known ? [[name, text]] : [],
    );
  return {
    parameters: written(true),
    others: written(false),
    text: (name) => of(name)[0]?.text,
    texts: (name) => of(name).flatMap(({ text }) => text ?? []),
    values: (name) => of(name).flatMap(({ value }) => (value ? [value] : [])),
  };
}

interface Given {
  readonly name: string;
  readonly definition?: OperationParameter;
  /** of a primitive */
  readonly text?: string;
  readonly value?: Tree;
}

function fromQuery(operation: Operation, name: string, text: string, takes: Takes): Given {
  const definition = definitionOf(operation, name, takes);
  if (!definition) return { name, text };
  if (!isPrimitive(definition))
    throw invalid(
      'not-supported',
      `${name} is a ${definition.type}, which no URL can hold: send it by POST, in Parameters`,
    );
  if (!primitive(definition)(fromText(definition.type, text))) throw notOfType(name, definition);
  return { name, definition, text };
}

/** What a text in a URL means as a JSON value of a type. */
function fromText(type: string | undefined, text: string): unknown {
  if (type === 'boolean') return text === 'true' || (text === 'false' ? false : text);
  if (type === 'integer' || type === 'positiveInt' || type === 'unsignedInt' || type === 'decimal')
    return /^-?\d{1,18}(\.\d{1,18})?$/.test(text) ? Number(text) : text;
  return text;
}

async function fromBody(
  context: Context,
  { request }: Exchange,
  operation: Operation,
  takes: Takes,
): Promise<Given[]> {
  const body = await readText(request, context.config.maxBody);
  if (body === '') return [];
  demandFhirJson(request.headers['content-type']);
  const { resourceType, parameter = [] } = parseJson(body).value;
  if (resourceType !== 'Parameters')
    throw invalid('structure', `$${operation.code} is called with Parameters`, 'resourceType');
  if (!Array.isArray(parameter)) throw invalid('structure', 'parameter is an array', 'Parameters.parameter');
  return parameter.map((one, i) => fromParameter(operation, one, `Parameters.parameter[${i}]`, takes));
}

function fromParameter(operation: Operation, parameter: unknown, at: string, takes: Takes): Given {
  if (!isTree(parameter) || typeof parameter.name !== 'string')
    throw invalid('structure', 'A parameter has a name', at);
  const { name } = parameter;
  const definition = definitionOf(operation, name, takes, at);
  const members = Object.keys(parameter).filter((member) => !['name', 'id', 'extension'].includes(member));
  const [member = ''] = members;
  const expected = definition?.type && `value${definition.type[0]?.toUpperCase()}${definition.type.slice(1)}`;
  if (members.length !== 1 || (expected ? member !== expected : !member.startsWith('value')))
    throw invalid('structure', `The parameter ${shown(name)} is given as ${expected ?? 'valueString'}`, at);
  const value = parameter[member];
  if (definition && !isPrimitive(definition)) {
    if (!isTree(value)) throw notOfType(name, definition, `${at}.${member}`);
    return { name, definition, value };
  }
  const sound = definition
    ? primitive(definition)(value)
    : ['string', 'number', 'boolean'].includes(typeof value);
  if (!sound) throw notOfType(name, definition, `${at}.${member}`);
  return { name, definition, text: String(value) };
}

function definitionOf(
  { code, parameters }: Operation,
  name: string,
  takes: Takes,
  at?: string,
): OperationParameter | undefined {
  const definition = parameters.find((one) => one.name === name);
  if (definition || takes(name)) return definition;
  const names = parameters.map((one) => one.name).join(', ');
  const possible = names === '' ? 'it has none' : `possible are ${names}`;
  throw invalid('not-supported', `$${code} has no parameter ${shown(name)}: ${possible}`, at);
}

function checkNumber({ code }: Operation, { name, min, max = Infinity }: OperationParameter, given: Given[]) {
  const count = given.filter((one) => one.name === name).length;
  if (count > max) throw invalid('invalid', `The parameter ${name} is given ${count} times: give it once`);
  if (count < min) throw invalid('required', `$${code} needs the parameter ${name}`);
}

type Check = (value: unknown) => boolean;

const isPrimitive = ({ type = '' }: OperationParameter): boolean => /^[a-z]/.test(type);

const primitive = ({ type }: OperationParameter): Check =>
  (primitives as unknown as Readonly<Record<string, Check>>)[type as string] ?? (() => false);

function notOfType(name: string, definition: OperationParameter | undefined, at?: string): Refusal {
  const type = definition?.type ?? 'string';
  const example = EXAMPLES[type];
  return invalid(
    'value',
    `The parameter ${shown(name)} is of type ${type}${example ? `, such as ${example}` : ''}`,
    at,
  );
}

const EXAMPLES: Readonly<Record<string, string>> = {
  boolean: 'true',
  date: '2026-01-31',
  instant: '2026-01-31T10:00:00Z',
  integer: '20',
  positiveInt: '3',
  decimal: '0.5',
};

export const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A text of the client's that is short enough to be said back. */
const shown = (text: string): string => (text.length > 80 ? `${text.slice(0, 80)}…` : text);
