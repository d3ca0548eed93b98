/** Logical ids of the server's own: UUID v7 (RFC 9562 §5.7), which rise with time and so keep index pages close. */
import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

const POOL = 4096;
const EACH = 16;

/** Makes the ids of a process; random bytes are drawn for many at once, as a draw costs what hundreds of bytes do. */
export function makeIds(): () => string {
  const pool = new Uint8Array(POOL);
  let at = POOL;
  let seq = 0;
  return () => {
    if (at === POOL) {
      randomFillSync(pool);
      at = 0;
    }
    const random = pool.subarray(at, at + EACH);
    at += EACH;
    // Ids of one millisecond rise too.
    seq = (seq + 1) & 0x7fffffff;
    return v7({ random, msecs: Date.now(), seq });
  };
}
