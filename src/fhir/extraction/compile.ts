/** Makes places of a walk's tree out of expressions: what a path means is settled here, once, from the definitions. */
import type { Definitions, ElementDefinition } from '../definitions.ts';
import { type Expression, Unsupported } from './fhirpath.ts';
import { filteredPlace, memberPlace, type Place, place, visit } from './plan.ts';
import { isKindOf, referencedType } from './types.ts';

/** A place that a path comes to and the type of the values there. */
export interface Cursor<T> {
  readonly place: Place<T>;
  /** A resource or data type, or the path of a backbone element (`Observation.component`) */
  readonly type: string;
  /** Of a primitive: where its extensions are, in the member `_name` beside it */
  readonly beside?: { readonly place: Place<T>; readonly name: string };
}

/** What an expression starts from: its element (`$this`) and the resource around it (`%resource`). */
export interface Focus<T> {
  readonly start: Cursor<T>;
  readonly resource: Cursor<T>;
}

/** The value of an expression that is no path, undefined where FHIRPath has the empty collection. */
type Evaluate = (value: unknown, resource: unknown) => unknown;

/** The types of a focus, for expressions that are evaluated apart from the tree. */
interface Types {
  readonly start: string;
  readonly resource: string;
}

/**
 * The places that an expression's values come to.
 *
 * @throws Unsupported where it asks for a function not known here, or for an element that does not exist
 */
export function compileExpression<T>(
  definitions: Definitions,
  expression: Expression,
  focus: Focus<T>,
): Cursor<T>[] {
  if (isPath(expression)) return path(definitions, expression, focus);
  const evaluate = scalar(definitions, expression, typesOf(focus));
  const to = place<T>();
  focus.start.place.sinks.push((value, walk) => {
    const result = evaluate(value, walk.resource);
    if (result !== undefined) visit(to, result, walk);
  });
  return [{ place: to, type: 'boolean' }];
}

/** A choice of types within a choice of types, and so on, comes to thousands. */
const MOST_PLACES = 500;

const SCALAR_FUNCTIONS = new Set(['exists', 'empty', 'not']);

function isPath(expression: Expression): boolean {
  if (expression.kind === 'literal') return false;
  if (expression.kind === 'binary') return expression.operator === '|';
  if (expression.kind === 'type') return expression.operator === 'as';
  return !(expression.kind === 'call' && SCALAR_FUNCTIONS.has(expression.name));
}

function path<T>(definitions: Definitions, expression: Expression, focus: Focus<T>): Cursor<T>[] {
  switch (expression.kind) {
    case 'variable':
      if (expression.name === '$this') return [focus.start];
      if (expression.name === '%resource') return [focus.resource];
      throw new Unsupported(`the variable ${expression.name} is not known`);
    case 'member': {
      if (!expression.of && /^[A-Z]/.test(expression.name))
        return isKindOf(definitions, focus.start.type, expression.name) ? [focus.start] : [];
      const from = expression.of ? path(definitions, expression.of, focus) : [focus.start];
      const to = from.flatMap((cursor) => member(definitions, cursor, expression.name));
      if (to.length > MOST_PLACES)
        throw new Unsupported(`${expression.name} comes to too many kinds of elements`);
      if (from.length > 0 && to.length === 0)
        throw new Unsupported(`${from.map(({ type }) => type).join(', ')} has no element ${expression.name}`);
      return to;
    }
    case 'type': {
      const from = path(definitions, expression.of, focus);
      const to = from.flatMap((cursor) => narrow(definitions, cursor, expression.type));
      if (from.length > 0 && to.length === 0)
        throw new Unsupported(`${from.map(({ type }) => type).join(', ')} is never ${expression.type}`);
      return to;
    }
    case 'index':
      return pick(definitions, expression.of, expression.index, focus);
    case 'call':
      return call(definitions, expression, focus);
    case 'binary': {
      const both = [
        ...path(definitions, expression.left, focus),
        ...path(definitions, expression.right, focus),
      ];
      return both.filter((cursor, i) => both.findIndex((other) => other.place === cursor.place) === i);
    }
    default:
      throw new Unsupported(`a ${expression.kind} is no path`);
  }
}

/** An element of the values at a cursor; a choice of types goes to a member for each, as JSON has it. */
function member<T>(definitions: Definitions, from: Cursor<T>, name: string): Cursor<T>[] {
  if (from.beside && (name === 'extension' || name === 'id')) {
    const beside = memberPlace(from.beside.place, `_${from.beside.name}`);
    return member(definitions, { place: beside, type: 'Element' }, name);
  }
  const elements = definitions.elements(from.type);
  const single = elements.get(name);
  if (single) return [toMember(from, name, single, single.types[0])];
  const choice = elements.get(`${name}[x]`);
  return (choice?.types ?? []).map((type) => {
    const plain = type === 'SimpleQuantity' || type === 'MoneyQuantity' ? 'Quantity' : type;
    return toMember(from, name + plain[0]!.toUpperCase() + plain.slice(1), choice!, plain);
  });
}

function toMember<T>(from: Cursor<T>, name: string, element: ElementDefinition, type = ''): Cursor<T> {
  const to = memberPlace(from.place, name);
  if (element.contentReference) return { place: to, type: element.contentReference };
  if (type === 'BackboneElement' || type === 'Element') return { place: to, type: element.path };
  if (/^[a-z]/.test(type)) return { place: to, type, beside: { place: from.place, name } };
  return { place: to, type };
}

function narrow<T>(definitions: Definitions, cursor: Cursor<T>, type: string): Cursor<T>[] {
  if (isKindOf(definitions, cursor.type, type)) return [cursor];
  // only resources within resources have a type that is not settled by the definitions
  if (!isKindOf(definitions, type, cursor.type)) return [];
  const to = filteredPlace(cursor.place, `as ${type}`, (value) => resourceType(value) === type);
  return [{ place: to, type }];
}

function resourceType(value: unknown): unknown {
  return (value as { resourceType?: unknown }).resourceType;
}

type Call = Extract<Expression, { kind: 'call' }>;

function call<T>(definitions: Definitions, expression: Call, focus: Focus<T>): Cursor<T>[] {
  const { of, name, arguments: given } = expression;
  const from = () => (of ? path(definitions, of, focus) : [focus.start]);
  const argument = given[0];
  if (name === 'where' && argument) {
    return from().map((cursor) => {
      const evaluate = scalar(definitions, argument, { start: cursor.type, resource: focus.resource.type });
      const text = `where ${JSON.stringify(argument)}`;
      const to = filteredPlace(cursor.place, text, (value, resource) => evaluate(value, resource) === true);
      return { place: to, type: cursor.type };
    });
  }
  if (name === 'extension' && argument?.kind === 'literal') {
    return from()
      .flatMap((cursor) => member(definitions, cursor, 'extension'))
      .map((cursor) => {
        const test = (value: unknown) => (value as { url?: unknown }).url === argument.value;
        return { ...cursor, place: filteredPlace(cursor.place, `extension ${argument.value}`, test) };
      });
  }
  if (name === 'first' && given.length === 0) return pick(definitions, of, 0, focus);
  throw new Unsupported(`the function ${name} is not known`);
}

/** The nth of all values that a path selects: it is counted over the whole path, so this is selected apart. */
function pick<T>(
  definitions: Definitions,
  of: Expression | undefined,
  index: number,
  focus: Focus<T>,
): Cursor<T>[] {
  const { types, select } = selection(definitions, of ?? THIS, typesOf(focus));
  const places = types.map(() => place<T>());
  focus.start.place.sinks.push((value, walk) => {
    const found = select(value, walk.resource)[index];
    if (found) visit(places[found.type]!, found.value, walk);
  });
  return types.map((type, i) => ({ place: places[i]!, type }));
}

const THIS: Expression = { kind: 'variable', name: '$this' };

interface Found {
  readonly value: unknown;
  /** Index into the types of the selection */
  readonly type: number;
}

interface Selection {
  readonly types: readonly string[];
  readonly select: (value: unknown, resource: unknown) => readonly Found[];
}

/** A path as a function of its own, for what needs all its values at once. */
function selection(definitions: Definitions, expression: Expression, types: Types): Selection {
  const start = place<Found>();
  const whole = place<Found>();
  const cursors = path(definitions, expression, {
    start: { place: start, type: types.start },
    resource: { place: whole, type: types.resource },
  });
  cursors.forEach((cursor, type) => {
    cursor.place.sinks.push((value, walk) => walk.out.push({ value, type }));
  });
  const select = (value: unknown, resource: unknown): Found[] => {
    const walk = { resource, out: [] };
    visit(start, value, walk);
    visit(whole, resource, walk);
    return walk.out;
  };
  return { types: cursors.map(({ type }) => type), select };
}

function scalar(definitions: Definitions, expression: Expression, types: Types): Evaluate {
  if (expression.kind === 'literal') return () => expression.value;
  if (expression.kind === 'binary' && expression.operator !== '|') {
    const { operator, left, right } = expression;
    if (operator === '=' || operator === '!=') {
      return equality(operands(definitions, left, types), operands(definitions, right, types), operator);
    }
    return logic(operator, truth(definitions, left, types), truth(definitions, right, types));
  }
  if (expression.kind === 'type' && expression.operator === 'is')
    return typeTest(definitions, expression, types);
  if (expression.kind === 'call' && expression.name === 'not') {
    const operand = truth(definitions, expression.of ?? THIS, types);
    return (value, resource) => {
      const result = operand(value, resource);
      return result === undefined ? undefined : !result;
    };
  }
  if (expression.kind === 'call' && (expression.name === 'exists' || expression.name === 'empty')) {
    const { of = THIS, arguments: given, name } = expression;
    const all: Expression = given.length > 0 ? { kind: 'call', of, name: 'where', arguments: given } : of;
    const operand = operands(definitions, all, types);
    return (value, resource) => operand(value, resource).length > 0 === (name === 'exists');
  }
  return truth(definitions, expression, types);
}

/** `is`: of a reference's target judged by the reference itself, of all else by the definitions. */
function typeTest(
  definitions: Definitions,
  { of, type: wanted }: Extract<Expression, { kind: 'type' }>,
  types: Types,
): Evaluate {
  if (of.kind === 'call' && of.name === 'resolve') {
    const { select } = selection(definitions, of.of ?? THIS, types);
    return (value, resource) => {
      const references = select(value, resource);
      if (references.length !== 1) return undefined;
      const type = referencedType(definitions, references[0]!.value, resource);
      return type === undefined ? undefined : isKindOf(definitions, type, wanted);
    };
  }
  const { types: found, select } = selection(definitions, of, types);
  return (value, resource) => {
    const values = select(value, resource);
    if (values.length !== 1) return undefined;
    const type = resourceType(values[0]!.value) ?? found[values[0]!.type];
    return isKindOf(definitions, String(type), wanted);
  };
}

function operands(
  definitions: Definitions,
  expression: Expression,
  types: Types,
): (value: unknown, resource: unknown) => readonly unknown[] {
  if (isPath(expression)) {
    const { select } = selection(definitions, expression, types);
    return (value, resource) => select(value, resource).map((found) => found.value);
  }
  const evaluate = scalar(definitions, expression, types);
  return (value, resource) => {
    const result = evaluate(value, resource);
    return result === undefined ? [] : [result];
  };
}

/** A collection as a truth value: a single value that is no boolean counts as true (FHIRPath §4.5). */
function truth(definitions: Definitions, expression: Expression, types: Types): Evaluate {
  const operand = operands(definitions, expression, types);
  return (value, resource) => {
    const values = operand(value, resource);
    return values.length === 0 ? undefined : values.length > 1 || values[0] !== false;
  };
}

type Operands = ReturnType<typeof operands>;

function equality(left: Operands, right: Operands, operator: '=' | '!='): Evaluate {
  return (value, resource) => {
    const a = left(value, resource);
    const b = right(value, resource);
    if (a.length === 0 || b.length === 0) return undefined;
    const equal = a.length === b.length && a.every((item, i) => item === b[i]);
    return equal === (operator === '=');
  };
}

/** Three-valued logic (FHIRPath §6.5). */
function logic(operator: string, left: Evaluate, right: Evaluate): Evaluate {
  return (value, resource) => {
    const a = left(value, resource);
    const b = right(value, resource);
    const unknown = a === undefined || b === undefined;
    if (operator === 'and') return a === false || b === false ? false : unknown ? undefined : true;
    if (operator === 'or') return a === true || b === true ? true : unknown ? undefined : false;
    if (operator === 'xor') return unknown ? undefined : a !== b;
    return a === false || b === true ? true : unknown ? undefined : false;
  };
}

function typesOf<T>(focus: Focus<T>): Types {
  return { start: focus.start.type, resource: focus.resource.type };
}
