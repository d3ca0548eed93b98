/**
 * Names of `_filter` alone that stand for an element, of which its brackets and the name after them say parts
 * (R4 search_filter.html#params). Of the table there these are left in R4: `characteristic` of Group; of Observation
 * `related`, whose two kinds are elements of their own now.
 */
import { parameterFault, short } from '../faults.ts';
import { componentsOf, findParameter, type Grammar } from '../parameters.ts';
import type { CompositeValue, Filter } from '../request.ts';
import { readComponent } from '../values.ts';
import { either, operation } from './operations.ts';
import type { Expression, Step, Test } from './syntax.ts';

/** What `related` was made of, and the parameters that R4 has for it. */
const RELATED: Readonly<Record<string, string>> = {
  'has-component': 'has-member',
  'has-member': 'has-member',
  'derived-from': 'derived-from',
};

/**
 * A test of an element.
 *
 * @param test    with the path after the element
 * @param element the element's name, and its brackets
 * @returns       undefined where the type has no such name
 * @throws        Refusal 400
 */
export function elementTest(grammar: Grammar, type: string, test: Test, element: Step): Filter | undefined {
  if (type === 'Observation' && element.name === 'related') return relatedTest(grammar, test, element);
  if (type === 'Group' && element.name === 'characteristic')
    return characteristicTest(grammar, test, element);
  return undefined;
}

function relatedTest(grammar: Grammar, { path, operator, value }: Test, { within }: Step): Filter {
  const kinds = codesOf(within, 'type', 'related[type eq has-member].target re Observation/4');
  demandName(path, 'target', 'related');
  return either(
    kinds.map((kind) => {
      const code = RELATED[kind];
      if (code === undefined)
        throw parameterFault(
          'related',
          `has no type ${short(kind)}: possible are ${Object.keys(RELATED).join(', ')}`,
        );
      return operation(grammar, 'Observation', findParameter(grammar, 'Observation', code), operator, value);
    }),
  );
}

/** Both in one characteristic, which is what the composite is about. */
function characteristicTest(grammar: Grammar, { path, operator, value }: Test, { within }: Step): Filter {
  const codes = codesOf(within, 'code', 'characteristic[code eq gender].value eq male');
  demandName(path, 'value', 'characteristic');
  if (operator !== 'eq')
    throw parameterFault('characteristic.value', `cannot be tested by "${short(operator)}": possible is eq`);
  const parameter = findParameter(grammar, 'Group', 'characteristic-value');
  const parts = componentsOf(grammar.definitions, 'Group', parameter);
  const read = (i: number, text: string) =>
    readComponent(grammar.definitions, parts[i]!, text, parameter.code, grammar.baseUrl);
  const values: CompositeValue[] = codes.map((code) => [read(0, code), read(1, value)]);
  return { kind: 'composite', parameter, values };
}

/** What the brackets ask for: one code of the element, or several of which one will do. */
function codesOf(within: Expression | undefined, name: string, example: string): readonly string[] {
  if (within?.kind === 'or') return within.parts.flatMap((part) => codesOf(part, name, example));
  if (
    within?.kind === 'test' &&
    within.operator === 'eq' &&
    within.path.length === 1 &&
    within.path[0]?.name === name
  )
    return [within.value];
  throw parameterFault(
    '_filter',
    `takes ${name} eq …, and several of these with "or", in such brackets: ${example}`,
  );
}

function demandName(path: readonly Step[], name: string, of: string): void {
  if (path.length !== 1 || path[0]?.name !== name)
    throw parameterFault(
      '_filter',
      `must ask for ${of}[…].${name}: an element's brackets are followed by its other part`,
    );
}
