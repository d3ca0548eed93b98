/** Conditions of tokens (R4 search.html#token). */
import type { SearchParameter } from '../../fhir/definitions.ts';
import type { Filter, TokenValue } from '../../search/request.ts';
import type { Key } from '../hash.ts';
import { codeKey, isWalked, keyText, ofTypeKey, systemKey, tokenKey } from '../index/keys.ts';
import { hasOneOf, or, type Setting } from './setting.ts';
import type { Sql } from './sql.ts';

type Of<Kind extends Filter['kind']> = Extract<Filter, { readonly kind: Kind }>;

export function tokenCondition(sql: Sql, { parameter, values }: Of<'token'>, setting: Setting): string {
  return tokensCondition(sql, parameter, values, setting);
}

/** `:of-type` (R4 search.html#modifiers). */
export function ofTypeCondition(
  sql: Sql,
  { parameter, values }: Of<'of-type'>,
  { type, keys, row }: Setting,
): string {
  const own = keys.parameter(type, parameter);
  return hasOneOf(
    sql,
    row,
    values.map(({ system, code, value }) => keyText(ofTypeKey(own, system, code, value))),
  );
}

/** A code or category has no key but that of system and code: by one alone it is found in the dictionary. */
function tokensCondition(
  sql: Sql,
  parameter: SearchParameter,
  values: readonly TokenValue[],
  { type, keys, row }: Setting,
): string {
  const own = keys.parameter(type, parameter);
  if (!isWalked(parameter))
    return hasOneOf(sql, row, values.flatMap((value) => tokenValueKeys(own, value)).map(keyText));
  const full: string[] = [];
  const halves: string[] = [];
  for (const { system, code } of values) {
    if (code === undefined) halves.push(keyText(systemKey(own, system ?? '')));
    else if (system === undefined) halves.push(keyText(codeKey(own, code)));
    else full.push(keyText(tokenKey(own, system, code)));
  }
  const found = full.length > 0 ? [hasOneOf(sql, row, full)] : [];
  if (halves.length > 0)
    found.push(
      `${row}.keys && array(select key from code_key where code = any (${sql.bind(halves)}::bigint[]))`,
    );
  return or(found);
}

/** The keys that a value of a token search looks for, any of them. */
export function tokenValueKeys(parameter: Key, { system, code }: TokenValue): Key[] {
  if (code === undefined) return [systemKey(parameter, system ?? '')];
  if (system !== undefined) return [tokenKey(parameter, system, code)];
  return [codeKey(parameter, code), tokenKey(parameter, '', code)];
}
