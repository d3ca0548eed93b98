/**
 * The language of `_filter` as it is written (R4 search_filter.html#intro): tests, `and`, `or`, `not`, and brackets.
 * "Logical expressions are evaluated left to right, with no precedence between and and or".
 */
import { parameterFault, short, tooCostly } from '../faults.ts';

/** So long a text is, so many tests it has, and so deep its brackets go, at most. */
const LONGEST = 50_000;
const MOST_TESTS = 200;
const DEEPEST = 20;

export type Expression =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Expression[] }
  | { readonly kind: 'not'; readonly part: Expression }
  | Test;

/** `path operator value` */
export interface Test {
  readonly kind: 'test';
  /** a parameter, after those that lead to the resource that has it */
  readonly path: readonly Step[];
  readonly operator: string;
  /** as it is meant: of a text in quotation marks what they hold */
  readonly value: string;
}

/** One name of a path, and what must hold of that to which it leads. */
export interface Step {
  readonly name: string;
  /** `subject:Patient` */
  readonly type?: string;
  readonly within?: Expression;
}

const SPACE = /\s*/y;
const WORD = /(?:and|or)\b/iy;
const NOT = /not(?=[\s(])/iy;
const NAME = /[A-Za-z_][\w-]*/y;
const TYPE = /:([A-Z][A-Za-z]*)/y;
const OPERATOR = /\s+([A-Za-z]+)\s+/y;
const TEXT = /"(?:[^"\\]|\\.)*"/y;
const TOKEN = /[^\s\])"][^\s\])]*/y;

/** @throws Refusal 400 saying where it cannot be read, and what is expected there */
export function parseExpression(text: string): Expression {
  if (text.length > LONGEST) throw tooCostly(`_filter takes ${LONGEST} characters at most`);
  let at = 0;
  let tests = 0;
  const expression = joined(0);
  if (at < text.length) throw wrong('"and", "or", or its end');
  return expression;

  function joined(depth: number): Expression {
    if (depth > DEEPEST) throw tooCostly(`_filter takes brackets within brackets ${DEEPEST} deep at most`);
    let left = one(depth);
    for (let word = take(WORD); word; word = take(WORD)) {
      const kind = word[0].toLowerCase() as 'and' | 'or';
      const right = one(depth);
      left = { kind, parts: left.kind === kind ? [...left.parts, right] : [left, right] };
    }
    return left;
  }

  function one(depth: number): Expression {
    take(SPACE);
    if (take(NOT)) {
      if (depth >= DEEPEST) throw tooCostly(`_filter takes "not" ${DEEPEST} deep at most`);
      return { kind: 'not', part: one(depth + 1) };
    }
    if (text[at] !== '(') return test(depth);
    at++;
    const inner = joined(depth + 1);
    close(')');
    return inner;
  }

  function test(depth: number): Test {
    if (++tests > MOST_TESTS) throw tooCostly(`_filter takes ${MOST_TESTS} tests at most`);
    const path = [step(depth)];
    while (text[at] === '.') {
      at++;
      path.push(step(depth));
    }
    if (path[path.length - 1]?.within) throw wrong('"." and a name, as in subject[gender eq male].name');
    const operator = take(OPERATOR)?.[1];
    if (operator === undefined) throw wrong('a space and an operator, as in name co "pet"');
    const value = readValue();
    take(SPACE);
    return { kind: 'test', path, operator: operator.toLowerCase(), value };
  }

  function step(depth: number): Step {
    const name = take(NAME)?.[0];
    if (name === undefined) throw wrong('the name of a search parameter');
    const type = take(TYPE)?.[1];
    if (text[at] !== '[') return { name, type };
    at++;
    const within = joined(depth + 1);
    close(']');
    return { name, type, within };
  }

  function readValue(): string {
    const quoted = take(TEXT)?.[0];
    if (quoted !== undefined)
      try {
        return JSON.parse(quoted);
      } catch {
        at -= quoted.length;
        throw wrong('a text as JSON writes it, as in "pet"');
      }
    const token = take(TOKEN)?.[0];
    if (token === undefined) throw wrong('a value: a text in quotation marks, or one without spaces');
    return token;
  }

  function close(bracket: ')' | ']'): void {
    take(SPACE);
    if (text[at] !== bracket) throw wrong(`"and", "or", or "${bracket}"`);
    at++;
    if (bracket === ')') take(SPACE);
  }

  function take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at += found[0].length;
    return found;
  }

  function wrong(expected: string): Error {
    const there = at < text.length ? `"${short(text.slice(at))}" stands` : 'it ends';
    return parameterFault(
      '_filter',
      `cannot be read: at character ${at + 1} ${there}, expected is ${expected}`,
    );
  }
}
