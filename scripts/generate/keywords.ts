/**
 * The keywords of our schemas (schemas.ts) and the code that ajv generates for them.
 *
 * An object is read in one pass over its keys, an `if` for each name that may be there. So the time goes with
 * what a resource holds, not with what its type could hold, and an unknown key is simply the last `else`. All
 * faults are collected, but every loop ends once there are FAULTS of them: a hostile resource costs no more
 * than a sound one.
 */

import type { Ajv } from 'ajv';
import { _, type Code, type CodeGen, type KeywordCxt, Name, str } from 'ajv';
import { strConcat } from 'ajv/dist/compile/codegen/index.js';
import names from 'ajv/dist/compile/names.js';
import { getErrorPath, Type } from 'ajv/dist/compile/util.js';
import type { TypeSchema, ValueSchema } from './schemas.ts';

/** Loops end when this many faults are found. */
const FAULTS = 20;

// ajv is CommonJS: Node gives its namespace, the type checker its default
const N = ((names as unknown as { default?: typeof names.default }).default ?? names) as typeof names.default;

/** Names in the generated modules, imported there from src/fhir/validation. */
export const IMPORTS = `import * as primitives from '../../src/fhir/validation/primitives.ts';
import { fault, holdsAt, isObject } from '../../src/fhir/validation/faults.ts';
import { codes } from './codes.js';
`;

/** Teaches ajv the keywords. */
export function addKeywords(ajv: Ajv): void {
  ajv.addKeyword({ keyword: 'elements', schemaType: 'object', code: elementsCode });
  ajv.addKeyword({ keyword: 'list', schemaType: 'object', code: listCode });
  for (const keyword of ['required', 'choices', 'kind', 'pairedWith']) {
    if (ajv.getKeyword(keyword)) ajv.removeKeyword(keyword);
    ajv.addKeyword({ keyword });
  }
}

/** What an object of this type may hold and must hold. */
function elementsCode(cxt: KeywordCxt): void {
  const { gen, data, it } = cxt;
  const schema = it.schema as unknown as TypeSchema;
  const required = Object.keys(schema.required);
  const choices = Object.entries(schema.choices).filter(([, ways]) => ways.length > 1);
  const here = strConcat(N.instancePath, it.errorPath);
  const first = Object.keys(schema.elements)[0];

  gen.if(_`!${helper(gen, 'isObject')}(${data})`);
  addFault(gen, here, 'object', schema.$id);
  gen.else();
  const count = gen.let('count', _`0`);
  const seen = required.length > 0 ? gen.let('seen', _`0`) : undefined;
  const chosen = new Map(choices.map(([name]) => [name, gen.let('chosen', _`0`)]));
  gen.forIn('key', data, (key) => {
    gen.if(_`${N.errors} >= ${FAULTS}`, () => gen.break());
    gen.code(_`${count}++`);
    const isResource = schema.kind === 'resource';
    if (isResource) gen.if(_`${key} === "resourceType"`);
    for (const [name, value] of Object.entries(schema.elements)) {
      const isName = _`${key} === ${name}`;
      if (name === first && !isResource) gen.if(isName);
      else gen.elseIf(isName);
      required.forEach((group, bit) => {
        if (seen && schema.required[group]!.includes(name)) gen.assign(seen, _`${seen} | ${2 ** bit}`);
      });
      for (const [choice, ways] of choices) {
        const way = ways.findIndex((jsonNames) => jsonNames.includes(name)) + 1;
        const taken = chosen.get(choice)!;
        if (way === 0) continue;
        gen.if(_`${taken} !== 0 && ${taken} !== ${way}`, () => addFault(gen, here, 'choice', choice));
        gen.assign(taken, _`${way}`);
      }
      elementCode(cxt, name, value);
    }
    gen.else();
    addFault(gen, here, 'unknown', schema.$id, key);
    gen.endIf();
  });
  if (seen) {
    // Only a loop that came to its end has seen what is there
    gen.if(_`${N.errors} < ${FAULTS} && ${seen} !== ${2 ** required.length - 1}`, () => {
      required.forEach((group, bit) => {
        gen.if(_`!(${seen} & ${2 ** bit})`, () => addFault(gen, here, 'missing', group));
      });
    });
  }
  if (schema.kind !== 'resource') gen.if(_`${count} === 0`, () => addFault(gen, here, 'empty', schema.$id));
  if (schema.kind === 'element')
    gen.if(_`${count} === 1 && ${data}.id !== undefined`, () => addFault(gen, here, 'onlyId', schema.$id));
  gen.endIf();
}

function elementCode(cxt: KeywordCxt, name: string, value: ValueSchema): void {
  const { gen, data, it } = cxt;
  if ('$ref' in value || 'list' in value) {
    // ajv's own way into a part of the data, which keeps the path
    cxt.subschema({ keyword: 'elements', schemaProp: name, dataProp: name }, gen.name('valid'));
    return;
  }
  const path = strConcat(N.instancePath, str`${it.errorPath}/${name}`);
  plainCode(gen, _`${data}.${new Name(name)}`, path, value);
}

/** An array that is not empty; null stands only where the paired array has something. */
function listCode(cxt: KeywordCxt): void {
  const { gen, data, it } = cxt;
  const { list: item, pairedWith } = it.schema as unknown as Extract<ValueSchema, { list: unknown }>;
  const here = strConcat(N.instancePath, it.errorPath);
  gen.if(_`!Array.isArray(${data}) || ${data}.length === 0`);
  addFault(gen, here, 'list');
  gen.else();
  gen.forRange('i', 0, _`${data}.length`, (i) => {
    gen.if(_`${N.errors} >= ${FAULTS}`, () => gen.break());
    const path = strConcat(N.instancePath, str`${it.errorPath}${getErrorPath(i, Type.Num)}`);
    if (pairedWith) {
      const other = _`${it.parentData}.${new Name(pairedWith)}`;
      gen.if(_`${data}[${i}] === null`);
      gen.if(_`!${helper(gen, 'holdsAt')}(${other}, ${i})`, () => addFault(gen, path, 'null'));
      gen.else();
    }
    if ('$ref' in item)
      cxt.subschema({ keyword: 'list', dataProp: i, dataPropType: Type.Num }, gen.name('valid'));
    else plainCode(gen, _`${data}[${i}]`, path, item);
    if (pairedWith) gen.endIf();
  });
  gen.endIf();
}

/** A primitive value or a resource, which is judged by its own type elsewhere. */
function plainCode(gen: CodeGen, value: Code, path: Code, schema: ValueSchema): void {
  if ('resource' in schema) {
    gen.if(_`!${helper(gen, 'isObject')}(${value})`, () => addFault(gen, path, 'object', 'Resource'));
    return;
  }
  if (!('primitive' in schema))
    throw new Error('A list of lists, or a reference where a plain value is meant.');
  const { primitive, codes } = schema;
  if (codes) {
    gen.if(_`!${codeSet(gen, codes)}.has(${value})`, () => addFault(gen, path, 'code', codes));
    return;
  }
  gen.if(_`!${predicate(gen, primitive)}(${value})`, () => addFault(gen, path, 'primitive', primitive));
}

function addFault(gen: CodeGen, path: Code | Name, kind: string, about = '', name?: Name): void {
  const call = _`${helper(gen, 'fault')}(${N.vErrors}, ${path}, ${kind}, ${about}`;
  gen.assign(N.vErrors, name ? _`${call}, ${name})` : _`${call})`);
  gen.code(_`${N.errors}++`);
}

// Values of the generated module's scope: `ref` only tells ajv which are the same

function helper(gen: CodeGen, name: string): Name {
  return gen.scopeValue('func', { ref: name, key: name, code: _`${new Name(name)}` });
}

function predicate(gen: CodeGen, primitive: string): Name {
  const key = `primitives.${primitive}`;
  return gen.scopeValue('func', { ref: key, key, code: _`primitives.${new Name(primitive)}` });
}

function codeSet(gen: CodeGen, valueSet: string): Name {
  return gen.scopeValue('schema', { ref: valueSet, key: valueSet, code: _`codes.get(${valueSet})` });
}
