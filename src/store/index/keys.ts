/** The 64-bit keys of index rows: keyed hashes of (type, parameter, value) (ARCHITECTURE.md, "Keys"). */
import { nameOf, type SearchParameter } from '../../fhir/definitions.ts';
import type { Unit } from '../../search/units.ts';
import { hash, type Key } from '../hash.ts';

/** Version of what is hashed and how; a database remembers the one it was filled under. */
export const HASH_SCHEME = 1;

// Sorts of values: equal texts of different sorts have different keys. Never renumber: keys are stored.
const TYPE = 1;
const PARAMETER = 2;
const TOKEN = 3;
const CODE = 4;
const SYSTEM = 5;
const URI = 6;
const UNIT = 8;
const PAIR = 9;
const OF_TYPE = 10;
const LOCAL = 11;
const COMPARTMENT = 12;
const LOCK = 13;
const UNIT_NAME = 14;

export interface Keys {
  /** of all resources of a type */
  type(type: string): Key;
  /** of a parameter of a type: value rows carry it, and its values' keys are made from it */
  parameter(type: string, parameter: SearchParameter): Key;
  /** of units: those of all parameters are the same */
  readonly units: Key;
}

/** Makes the keys under a database's secret; those of parameters are made once. */
export function makeKeys(secret: Key): Keys {
  const types = new Map<string, Key>();
  const parameters = new WeakMap<SearchParameter, Map<string, Key>>();
  return {
    units: hash(secret, UNIT, ''),
    type(type) {
      let key = types.get(type);
      if (!key) {
        key = hash(secret, TYPE, type);
        types.set(type, key);
      }
      return key;
    },
    parameter(type, parameter) {
      let byType = parameters.get(parameter);
      if (!byType) {
        byType = new Map();
        parameters.set(parameter, byType);
      }
      let key = byType.get(type);
      if (!key) {
        key = hash(secret, PARAMETER, type, nameOf(parameter));
        byType.set(type, key);
      }
      return key;
    },
  };
}

/** Whether the tokens of a parameter have timeline rows: what is walked newest first. */
export const isWalked = ({ type, code, posted }: SearchParameter): boolean =>
  type === 'token' && (code === 'code' || code === 'category') && posted === undefined;

/** `system|code`; the system '' stands for a token without one. */
export const tokenKey = (parameter: Key, system: string, code: string): Key =>
  hash(parameter, TOKEN, system, code);

/** `code`, whatever its system. */
export const codeKey = (parameter: Key, code: string): Key => hash(parameter, CODE, code);

/** `system|`, whatever the code. */
export const systemKey = (parameter: Key, system: string): Key => hash(parameter, SYSTEM, system);

/** A uri, a canonical, or a reference to what is elsewhere. */
export const uriKey = (parameter: Key, uri: string): Key => hash(parameter, URI, uri);

/** A reference to a resource of this server; who follows it compares the target's number too. */
export const localKey = (parameter: Key, type: string, id: string): Key => hash(parameter, LOCAL, type, id);

/** What stands for the id, in the key of a reference to one version. */
export const versionOf = (id: string, version: string): string => `${id}/_history/${version}`;

/** All resources of a type in the compartment of a patient. */
export const compartmentKey = (type: Key, patientId: string): Key => hash(type, COMPARTMENT, patientId);

/** `:of-type`: value of an identifier with a coding of its type. */
export const ofTypeKey = (parameter: Key, system: string, code: string, value: string): Key =>
  hash(hash(parameter, OF_TYPE, system, code), OF_TYPE, value);

/** The unit of a quantity, with all that it says of it. */
export const unitKey = (units: Key, { system = '', code = '', unit = '' }: Unit): Key =>
  hash(hash(units, UNIT, system, code), UNIT, unit);

/** What searches call a unit by. */
export const unitNameKey = (
  units: Key,
  sort: 'system' | 'system and code' | 'text' | 'dimension',
  first: string,
  second = '',
): Key => hash(hash(units, UNIT_NAME, sort), UNIT_NAME, first, second);

/** A value of a composite, from the key of its first part: with a key of the second, or with '' for value rows. */
export const pairKey = (parameter: Key, first: Key, second?: Key): Key =>
  hash(hash(parameter, PAIR, halves(first)), PAIR, second ? halves(second) : '');

function halves({ high, low }: Key): string {
  return String.fromCharCode(high & 0xffff, high >>> 16, low & 0xffff, low >>> 16);
}

/** What writers of a value that identifies resources lock (store/locks.ts); it is not stored. */
export const lockKey = (type: Key, value: string): Key => hash(type, LOCK, value);

/** A key as PostgreSQL reads it. */
export function keyText({ high, low }: Key): string {
  return ((BigInt(high) << 32n) | BigInt(low >>> 0)).toString();
}
