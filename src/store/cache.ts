/** A map that forgets what was used longest ago. Only what never changes, or is checked at each use, may be kept so. */
export interface Cache<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V): void;
  delete(key: K): void;
}

/** @param most entries, beyond which the eldest go */
export function cache<K, V>(most: number): Cache<K, V> {
  // Two generations instead of an order of use: a hit costs one look-up and no write.
  let young = new Map<K, V>();
  let old = new Map<K, V>();
  const set = (key: K, value: V): void => {
    young.set(key, value);
    if (young.size > most / 2) {
      old = young;
      young = new Map();
    }
  };
  return {
    get(key) {
      const value = young.get(key);
      if (value !== undefined) return value;
      const known = old.get(key);
      if (known !== undefined) set(key, known);
      return known;
    },
    set,
    delete(key) {
      young.delete(key);
      old.delete(key);
    },
  };
}
