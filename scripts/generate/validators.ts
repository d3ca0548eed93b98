/** The validators' code: ajv compiles the schemas once, here, and writes what it made. */
import Ajv from 'ajv';
import standalone from 'ajv/dist/standalone/index.js';
import type { Reduced } from './definitions.ts';
import { addKeywords, IMPORTS } from './keywords.ts';
import type { Schemas } from './schemas.ts';

/**
 * ES modules, by file name: `validators.js` exports a function for each resource type, `codes.js` the codes of
 * the value sets that they check.
 */
export function makeValidators(schemas: Schemas, reduced: Reduced): Readonly<Record<string, string>> {
  const ajv = new Ajv.default({
    allErrors: true,
    inlineRefs: false,
    messages: false,
    meta: false,
    strict: false,
    unevaluated: false,
    validateSchema: false,
    code: { source: true, esm: true },
  });
  addKeywords(ajv);
  for (const type of schemas.types) ajv.addSchema(unprinted(type), type.$id);
  const exported = Object.fromEntries(reduced.resourceTypes.map((type) => [type, type]));
  const sets = [...schemas.codes].map(
    ([url, codes]) => `[${JSON.stringify(url)}, new Set(${JSON.stringify(codes)})]`,
  );
  return {
    'validators.js': IMPORTS + standalone.default(ajv, exported),
    'codes.js': `export const codes = new Map([\n${sets.join(',\n')}\n]);\n`,
  };
}

/** ajv prints every schema into the module for keywords that look at it when they run: ours do not. */
function unprinted<T extends object>(schema: T): T {
  return Object.defineProperty(schema, 'toJSON', { value: () => true });
}
