/** `_filter` as a filter of a search: its paths are parameters, chains, and parts of one element (R4 search_filter.html). */
import { MAX_DEPTH, parameterFault, short, tooCostly, UnknownParameter } from '../faults.ts';
import { chainFilter } from '../joins.ts';
import { findParameter, type Grammar } from '../parameters.ts';
import type { Filter } from '../request.ts';
import { elementTest } from './elements.ts';
import { either, operation } from './operations.ts';
import { type Expression, parseExpression, type Step, type Test } from './syntax.ts';

/**
 * Reads the value of `_filter`.
 *
 * @param type  of what is searched for
 * @param depth how many references were followed to come there
 * @throws      Refusal 400; UnknownParameter
 */
export function readExpression(grammar: Grammar, type: string, text: string, depth: number): Filter {
  try {
    return filterOf(grammar, type, parseExpression(text), depth);
  } catch (fault) {
    if (fault instanceof UnknownParameter) fault.inValue = true;
    throw fault;
  }
}

function filterOf(grammar: Grammar, type: string, expression: Expression, depth: number): Filter {
  const inner = (one: Expression): Filter => filterOf(grammar, type, one, depth);
  switch (expression.kind) {
    case 'and':
      return { kind: 'all', filters: expression.parts.map(inner) };
    case 'or':
      return either(expression.parts.map(inner));
    case 'not':
      return { kind: 'not', filter: inner(expression.part) };
    case 'test':
      return testOf(grammar, type, expression, depth);
  }
}

function testOf(grammar: Grammar, type: string, test: Test, depth: number): Filter {
  if (depth > MAX_DEPTH)
    throw tooCostly(`A chain may follow ${MAX_DEPTH} references: shorten ${short(nameOf(test.path))}`);
  const [first, ...rest] = test.path as [Step, ...Step[]];
  if (first.name === '_list' && rest.length === 0)
    throw parameterFault('_filter', 'cannot name _list: it is a parameter of its own');
  const ofElement = first.within && elementTest(grammar, type, { ...test, path: rest }, first);
  if (ofElement) return ofElement;
  const parameter = findParameter(grammar, type, first.name);
  if (rest.length === 0) {
    if (first.type !== undefined)
      throw parameterFault(
        `${first.name}:${first.type}`,
        'stands in _filter, which has operators and no modifiers',
      );
    return operation(grammar, type, parameter, test.operator, test.value);
  }
  const { within } = first;
  return chainFilter(grammar, type, nameOf(test.path), { parameter, modifier: first.type }, (target) => {
    const last = testOf(grammar, target, { ...test, path: rest }, depth + 1);
    return within ? { kind: 'all', filters: [filterOf(grammar, target, within, depth + 1), last] } : last;
  });
}

const nameOf = (path: readonly Step[]): string => path.map(({ name }) => name).join('.');
