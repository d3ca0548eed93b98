/** The part of FHIRPath that search parameters are written in (R4 search.html, fhirpath.html), read into a tree. */

export type Expression =
  /** a name after a dot, or the first of a path: then `of` is absent */
  | { readonly kind: 'member'; readonly of?: Expression; readonly name: string }
  | {
      readonly kind: 'call';
      readonly of?: Expression;
      readonly name: string;
      readonly arguments: Expression[];
    }
  | { readonly kind: 'index'; readonly of: Expression; readonly index: number }
  /** `%resource`, `%context`, `$this` */
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'literal'; readonly value: string | number | boolean }
  | { readonly kind: 'type'; readonly operator: 'is' | 'as'; readonly of: Expression; readonly type: string }
  | {
      readonly kind: 'binary';
      readonly operator: string;
      readonly left: Expression;
      readonly right: Expression;
    };

/** Thrown for what lies outside that part, saying what. */
export class Unsupported extends Error {}

/** From weakest to strongest; `is` and `as` bind tighter than all of these. */
const PRECEDENCE: Readonly<Record<string, number>> = {
  implies: 1,
  or: 2,
  xor: 2,
  and: 3,
  '=': 4,
  '!=': 4,
  '|': 5,
  is: 6,
  as: 6,
};

/**
 * Reads an expression.
 *
 * @throws Unsupported naming the place, where the text is outside the part of FHIRPath known here
 */
export function parseExpression(text: string): Expression {
  const tokens = tokenize(text);
  let at = 0;
  const fail = (): never => {
    throw new Unsupported(`"${tokens[at] ?? 'the end'}" was not expected in: ${text}`);
  };
  const take = (token: string): void => {
    if (tokens[at] !== token) fail();
    at++;
  };

  const binary = (weakest: number): Expression => {
    let left = postfix();
    for (;;) {
      const operator = tokens[at] ?? '';
      const strength = PRECEDENCE[operator] ?? 0;
      if (strength < weakest || strength === 0) return left;
      at++;
      if (operator === 'is' || operator === 'as')
        left = { kind: 'type', operator, of: left, type: typeName() };
      else left = { kind: 'binary', operator, left, right: binary(strength + 1) };
    }
  };
  const postfix = (): Expression => {
    let of = primary();
    for (;;) {
      if (tokens[at] === '.') {
        at++;
        of = memberOrCall(of);
      } else if (tokens[at] === '[') {
        at++;
        const index = Number(tokens[at++]);
        if (!Number.isInteger(index)) fail();
        take(']');
        of = { kind: 'index', of, index };
      } else return of;
    }
  };
  const primary = (): Expression => {
    const token = tokens[at] ?? fail();
    if (token === '(') {
      at++;
      const inner = binary(1);
      take(')');
      return inner;
    }
    if (token.startsWith("'")) {
      at++;
      return { kind: 'literal', value: unquote(token) };
    }
    if (/^\d/.test(token) || token === 'true' || token === 'false') {
      at++;
      return { kind: 'literal', value: JSON.parse(token) };
    }
    if (token.startsWith('%') || token.startsWith('$')) {
      at++;
      return { kind: 'variable', name: token };
    }
    return memberOrCall(undefined);
  };
  const memberOrCall = (of: Expression | undefined): Expression => {
    const name = identifier();
    if (tokens[at] !== '(') return { kind: 'member', of, name };
    at++;
    if ((name === 'as' || name === 'ofType' || name === 'is') && of) {
      const type = typeName();
      take(')');
      return { kind: 'type', operator: name === 'is' ? 'is' : 'as', of, type };
    }
    const given: Expression[] = [];
    while (tokens[at] !== ')') {
      if (given.length > 0) take(',');
      given.push(binary(1));
    }
    at++;
    return { kind: 'call', of, name, arguments: given };
  };
  const identifier = (): string => {
    const token = tokens[at] ?? fail();
    if (!/^[A-Za-z_`]/.test(token)) fail();
    at++;
    return token.startsWith('`') ? unquote(token) : token;
  };
  const typeName = (): string => {
    let name = identifier();
    while (tokens[at] === '.') {
      at++;
      name = identifier();
    }
    return name;
  };

  const expression = binary(1);
  if (at < tokens.length) fail();
  return expression;
}

function tokenize(text: string): string[] {
  const token =
    /\s+|('(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|[%$][A-Za-z_][\w-]*|[A-Za-z_]\w*|\d+(?:\.\d+)?|!=|[=|.,()[\]])/y;
  const tokens: string[] = [];
  while (token.lastIndex < text.length) {
    const from = token.lastIndex;
    const match = token.exec(text);
    if (!match)
      throw new Unsupported(`"${text.slice(from, from + 20)}" is outside the known part of FHIRPath`);
    if (match[1] !== undefined) tokens.push(match[1]);
  }
  return tokens;
}

function unquote(quoted: string): string {
  return quoted.slice(1, -1).replace(/\\(.)/g, '$1');
}
