import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fhirpath from 'fhirpath';
import r4 from 'fhirpath/fhir-context/r4';
import { type Definitions, loadDefinitions, type SearchParameter } from '../../src/fhir/definitions.ts';
import { type CompiledType, compileExtractor, compileType } from '../../src/fhir/extract.ts';
import { type Cursor, compileExpression } from '../../src/fhir/extraction/compile.ts';
import { parseExpression, Unsupported } from '../../src/fhir/extraction/fhirpath.ts';
import { type Place, place, visit } from '../../src/fhir/extraction/plan.ts';

const EXAMPLES = join(import.meta.dirname, '../../../shared/data/r4-examples');

let definitions: Definitions;

beforeAll(async () => {
  definitions = await loadDefinitions();
});

describe('R4 search parameters: which elements their expressions select', () => {
  test('every expression of every type compiles', () => {
    const extractor = compileExtractor(definitions);
    expect(extractor.skipped).toEqual([]);
    const given = definitions.resourceTypes.flatMap((type) => extractor.parameters(type));
    expect(given.length).toBeGreaterThan(2000);
  });

  const examples = existsSync(EXAMPLES) ? test : test.skip;
  examples(
    'in every example of the standard the same elements as fhirpath (skipped where the examples are missing)',
    () => {
      const compared = compareExamples();
      expect(compared.differences).toEqual([]);
      // 140 of the 146 types have examples; these floors catch a comparison that has become empty
      expect(compared.parameters).toBeGreaterThan(2000);
      expect(compared.comparisons).toBeGreaterThan(10_000);
      expect(compared.elements).toBeGreaterThan(8_000);
      expect(compared.components).toBeGreaterThan(100);
    },
    60_000,
  );
});

describe('FHIRPath beyond the standard parameters, as guides write their own', () => {
  const patient = {
    resourceType: 'Patient',
    extension: [
      { url: 'http://a', valueCode: 'x' },
      { url: 'http://b', extension: [{ url: 'c', valueString: 'deep' }] },
    ],
    birthDate: '1990-05-06',
    _birthDate: { extension: [{ url: 'http://time', valueDateTime: '1990-05-06T07:08:09Z' }] },
    name: [{ given: ['Ann', 'Bea'] }, { use: 'maiden', given: ['Cid'] }],
    generalPractitioner: [{ reference: 'Practitioner/1' }, { reference: 'Organization/2' }],
    contained: [{ resourceType: 'Organization', id: 'o', name: 'Org' }],
  };
  const cases: [string, unknown[]][] = [
    ["Patient.extension.where(url = 'http://a').value", ['x']],
    ["Patient.extension('http://b').extension('c').value.as(string)", ['deep']],
    ["Patient.birthDate.extension('http://time').value", ['1990-05-06T07:08:09Z']],
    ['Patient.name.given.first()', ['Ann']],
    ['Patient.name.given[2]', ['Cid']],
    ["Patient.name.where(use.exists().not() or use != 'maiden').given", ['Ann', 'Bea']],
    ["Patient.name.exists(use = 'maiden')", [true]],
    ['Patient.photo.empty()', [true]],
    ['Patient.contained.ofType(Organization).name', ['Org']],
    ['Patient.generalPractitioner.where(resolve() is Organization).reference', ['Organization/2']],
    ['name.given | birthDate', ['Ann', 'Bea', 'Cid', '1990-05-06']],
    ['Observation.code', []],
  ];
  test.each(cases)('%s', (text, wanted) => {
    expect(selectComponent('Patient', 'Patient', text, patient, patient)).toEqual(wanted);
  });

  test.each([
    'Patient.name.select(given)',
    'Patient.nothing',
    'Patient.birthDate as Period',
    'Patient.name.given.matches(',
    '%context.name',
    'Patient.name + 1',
  ])('%s is refused, naming the place', (text) => {
    expect(() => selectComponent('Patient', 'Patient', text, patient, patient)).toThrow(Unsupported);
  });
});

/** One element that an expression selects. */
interface Raw {
  readonly parameter: SearchParameter;
  readonly element: unknown;
}

/**
 * Compares what the compiled tree selects, before any conversion to values, with what fhirpath.js selects.
 *
 * Four things are not left to fhirpath.js as they stand. It resolves references by asking a server: `resolve() is
 * X` is there replaced by a function of this test that judges the reference's text with a regular expression. It
 * allows `as` on single elements only, where the standard's expressions mean each of several (useContext): there
 * `ofType` stands for it. And `value.as(DateTime)` of code-value-date names a type of FHIRPath where FHIR's dateTime
 * is meant. Unions are evaluated branch by branch, because its `|` compares elements and cannot with a Quantity that
 * has a comparator.
 */
function compareExamples() {
  const compiled = new Map<string, CompiledType<Raw>>();
  const evaluators = new Map<string, (element: unknown, variables: object) => unknown[]>();
  let current: { contained?: { id?: string; resourceType: string }[] } = {};
  const pointsTo = (nodes: unknown[], wanted: string): boolean[] =>
    nodes.map((node) => {
      const { reference = '', type } = fhirpath.util.valData(node) as { reference?: string; type?: string };
      if (reference.startsWith('#'))
        return current.contained?.find(({ id }) => `#${id}` === reference)?.resourceType === wanted;
      const named = /^(?:.*\/)?([A-Z]\w+)\/[^/]+(?:\/_history\/[^/]+)?$/.exec(reference)?.[1];
      return (named ?? type) === wanted;
    });
  const evaluator = (base: string | undefined, expression: string) => {
    const key = `${base}:${expression}`;
    const text = expression
      .replace(/resolve\(\) is (\w+)/g, "pointsTo('$1')")
      .replace(/ as (\w+)/g, '.ofType($1)')
      .replaceAll('.as(', '.ofType(')
      .replace('(DateTime)', '(dateTime)');
    const known = evaluators.get(key);
    if (known) return known;
    const userInvocationTable = {
      pointsTo: { fn: pointsTo, arity: { 1: ['String' as const] }, internalStructures: true },
    };
    const branches = text
      .split('|')
      .map((branch) =>
        fhirpath.compile(base ? { base, expression: branch } : branch, r4, { userInvocationTable }),
      );
    const made = (element: unknown, variables: object): unknown[] =>
      branches.flatMap((branch) => branch(element, variables as Record<string, unknown>));
    evaluators.set(key, made);
    return made;
  };

  const result = { comparisons: 0, elements: 0, components: 0, parameters: 0, differences: [] as string[] };
  const seen = new Set<string>();
  for (const file of readdirSync(EXAMPLES)) {
    const resource = JSON.parse(readFileSync(join(EXAMPLES, file), 'utf8'));
    const type: string = resource.resourceType;
    current = resource;
    const known = compiled.get(type) ?? compileType<Raw>(definitions, type, attachRaw);
    compiled.set(type, known);
    const out: Raw[] = [];
    visit(known.start, resource, { resource, out });

    for (const parameter of known.parameters) {
      const selected = out.filter((raw) => raw.parameter === parameter).map((raw) => raw.element);
      const wanted = evaluator(undefined, parameter.expression!)(resource, { resource });
      seen.add(`${type} ${parameter.code}`);
      result.comparisons++;
      result.elements += selected.length;
      compare(result.differences, `${file} ${parameter.code}`, parameter.expression!, selected, wanted);

      parameter.component?.forEach(({ expression }, component) => {
        for (const element of selected) {
          const base = baseOf(parameter.expression!, type, element, resource);
          const theirs = evaluator(base, expression)(element, { resource });
          const ours = selectComponent(type, base, expression, element, resource);
          result.components++;
          compare(result.differences, `${file} ${parameter.code}[${component}]`, expression, ours, theirs);
        }
      });
    }
  }
  result.parameters = seen.size;
  console.info(
    `fhirpath.js compared on ${compiled.size} types: ${result.parameters} (type, parameter) pairs, ` +
      `${result.comparisons} evaluations with ${result.elements} elements, ${result.components} of components`,
  );
  return result;
}

function attachRaw(parameter: SearchParameter, cursor: Cursor<Raw>): void {
  cursor.place.sinks.push((element, walk) => walk.out.push({ parameter, element }));
}

/** Which of a composite's paths (`Observation | Observation.component`) an element was selected by. */
function baseOf(expression: string, type: string, element: unknown, resource: unknown): string {
  const paths = expression.split('|').map((each) => each.trim());
  const own = paths.filter((each) => each.split('.')[0] === type);
  return element === resource ? type : own.find((each) => each !== type)!;
}

function selectComponent(
  type: string,
  base: string,
  expression: string,
  element: unknown,
  resource: unknown,
): unknown[] {
  const start: Place<unknown> = place();
  const whole: Place<unknown> = place();
  // elements of a data type (useContext) have its name, backbone elements their path
  const named = base.split('.').slice(1).join('.');
  const single = named === '' ? undefined : definitions.elements(type).get(named);
  const own = single && !/^(Backbone)?Element$/.test(single.types[0]!) ? single.types[0]! : base;
  const cursors = compileExpression(definitions, parseExpression(expression), {
    start: { place: start, type: own },
    resource: { place: whole, type },
  });
  for (const cursor of cursors) cursor.place.sinks.push((value, walk) => walk.out.push(value));
  const walk = { resource, out: [] as unknown[] };
  visit(start, element, walk);
  visit(whole, resource, walk);
  return walk.out;
}

function compare(
  differences: string[],
  where: string,
  expression: string,
  mine: unknown[],
  theirs: unknown[],
) {
  const [ours, wanted] = [mine, theirs].map((elements) =>
    elements
      .filter((each) => each != null)
      .map((each) => JSON.stringify(each))
      .sort()
      .join('\n'),
  );
  if (ours !== wanted) differences.push(`${where}: ${expression}\nours: ${ours}\ntheirs: ${wanted}`);
}
