/** "Did you mean": the known word that a mistyped one is nearest to. */

/** Longest word that is compared: the work grows with the square. */
const LONGEST = 64;

/**
 * The nearest of the known words, whatever their case; undefined where none is near (one change for each three
 * letters, at most three).
 */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  if (word.length > LONGEST) return undefined;
  let best: string | undefined;
  let least = Math.min(3, Math.ceil(word.length / 3)) + 1;
  for (const candidate of known) {
    const changes = changesTo(candidate.toLowerCase(), word.toLowerCase());
    if (changes < least) {
      least = changes;
      best = candidate;
    }
  }
  return best;
}

/** A word that was left unfinished is nearer than one of other letters: valueDate means valueDateTime. */
function changesTo(known: string, word: string): number {
  return word.length > 3 && known !== word && known.startsWith(word) ? 1 : distance(word, known);
}

/** Letters to add, drop or replace to make one word of the other (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
