/**
 * The keyed 64-bit hash behind `keys`: HalfSipHash-2-4 with 64 bits of output (Aumasson and Bernstein), over
 * UTF-16 code units. In 32-bit arithmetic, as that is what JavaScript computes without allocating.
 * Keyed, so that nobody can make values collide on purpose; candidates only, so that a chance collision harms
 * nothing (ARCHITECTURE.md, "Keys").
 */

/** 64 bits as two signed 32-bit halves, the way PostgreSQL's bigint is sent. */
export interface Key {
  readonly high: number;
  readonly low: number;
}

/**
 * Hashes two texts under a key.
 *
 * @param key    secret, or the hash of (type, parameter) that stands for it
 * @param tag    which sort of value this is, so that equal texts of different sorts differ
 * @param first  e.g. a token's system
 * @param second e.g. a token's code
 */
export function hash(key: Key, tag: number, first: string, second = ''): Key {
  let v0 = key.low ^ tag;
  let v1 = key.high ^ 0xee;
  let v2 = 0x6c796765 ^ key.low;
  let v3 = 0x74656462 ^ key.high;
  const words = ((first.length + 1) >> 1) + ((second.length + 1) >> 1) + 1;
  const firstWords = (first.length + 1) >> 1;
  let low = 0;
  // after the words of the message come the lengths, which tell ("ab", "c") from ("a", "bc")
  for (let i = 0; i < words + 2; i++) {
    let word = 0;
    let rounds = 2;
    if (i < words - 1) {
      const text = i < firstWords ? first : second;
      const at = (i < firstWords ? i : i - firstWords) << 1;
      word = text.charCodeAt(at) | (at + 1 < text.length ? text.charCodeAt(at + 1) << 16 : 0);
      v3 ^= word;
    } else if (i === words - 1) {
      word = (first.length << 16) ^ second.length;
      v3 ^= word;
    } else if (i === words) {
      v2 ^= 0xee;
      rounds = 4;
    } else {
      // the first half of the output is read off here, the second after four more rounds
      low = v1 ^ v3;
      v1 ^= 0xdd;
      rounds = 4;
    }
    for (let r = 0; r < rounds; r++) {
      v0 = (v0 + v1) | 0;
      v1 = (v1 << 5) | (v1 >>> 27);
      v1 ^= v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = (v3 << 8) | (v3 >>> 24);
      v3 ^= v2;
      v0 = (v0 + v3) | 0;
      v3 = (v3 << 7) | (v3 >>> 25);
      v3 ^= v0;
      v2 = (v2 + v1) | 0;
      v1 = (v1 << 13) | (v1 >>> 19);
      v1 ^= v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    v0 ^= word;
  }
  return { high: v1 ^ v3, low };
}
