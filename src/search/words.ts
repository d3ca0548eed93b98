/**
 * `_text` and `_content`: words in a resource's narrative, or in all of its texts (R4 search.html#text). The standard
 * leaves their grammar open and shows `(bone OR liver) and metastases`: words that stand side by side are all wanted,
 * `or`, `and`, `not` and brackets have their meaning, words in quotation marks follow each other.
 */
import { foldLetters } from '../fhir/fold.ts';
import { parameterFault, tooCostly } from './faults.ts';
import type { Words } from './request.ts';

/** So many words and brackets a parameter may have. */
const MOST_TOKENS = 100;

/** @throws Refusal 400 naming the parameter */
export function readWords(code: string, texts: readonly string[]): readonly Words[] {
  const each = texts.map((text) => foldLetters(text).match(/"[^"]*"?|[()]|[^\s()"]+/g) ?? []);
  if (each.flat().length > MOST_TOKENS)
    throw tooCostly(`The parameter ${code} takes ${MOST_TOKENS} words and brackets at most`);
  return each.map((tokens) => readTokens(code, tokens));
}

function readTokens(code: string, tokens: readonly string[]): Words {
  let at = 0;
  const words = either();
  if (at < tokens.length) throw wrong();
  return words;

  function either(): Words {
    const parts = [all()];
    while (tokens[at] === 'or') {
      at++;
      parts.push(all());
    }
    return parts.length === 1 ? (parts[0] as Words) : { kind: 'or', parts };
  }

  function all(): Words {
    const parts = [one()];
    for (let next = tokens[at]; next !== undefined && next !== 'or' && next !== ')'; next = tokens[at]) {
      if (next === 'and') at++;
      parts.push(one());
    }
    return parts.length === 1 ? (parts[0] as Words) : { kind: 'and', parts };
  }

  function one(): Words {
    const token = tokens[at++];
    if (token === 'not') return { kind: 'not', part: one() };
    if (token === '(') {
      const inner = either();
      if (tokens[at++] !== ')') throw wrong();
      return inner;
    }
    const words = token === undefined || token === 'and' || token === 'or' ? [] : wordsOf(token);
    if (words.length === 0) throw wrong();
    return { kind: 'phrase', words };
  }

  function wrong(): Error {
    return parameterFault(code, 'must be words, such as (bone OR liver) and "deep metastases"');
  }
}

/** A resource's texts as their words. */
export type Texts = readonly (readonly string[])[];

/** Those of its narrative, or all: of data that are not text none. */
export function textsOf(resource: object, within: 'narrative' | 'content'): Texts {
  if (within === 'content') return textsIn(resource, []);
  const { div } = ((resource as { text?: unknown }).text ?? {}) as { div?: unknown };
  return typeof div === 'string' ? [wordsOf(plain(div))] : [];
}

/** All words of all texts: the narrative's among them. */
export const allWords = (resource: object): ReadonlySet<string> =>
  new Set(textsOf(resource, 'content').flat());

function textsIn(value: unknown, out: string[][], name?: string): string[][] {
  if (typeof value === 'string') out.push(wordsOf(name === 'div' ? plain(value) : value));
  else if (typeof value === 'object' && value !== null)
    for (const [member, each] of Object.entries(value)) {
      // Bytes of attachments, and samples.
      if (member !== 'data') textsIn(each, out, Array.isArray(value) ? name : member);
    }
  return out;
}

/** Whether texts have what is wanted. */
export function hasWords(words: Words, texts: Texts): boolean {
  switch (words.kind) {
    case 'phrase':
      return texts.some((text) => hasPhrase(words.words, text));
    case 'and':
      return words.parts.every((part) => hasWords(part, texts));
    case 'or':
      return words.parts.some((part) => hasWords(part, texts));
    case 'not':
      return !hasWords(words.part, texts);
  }
}

function hasPhrase([first, ...more]: readonly string[], text: readonly string[]): boolean {
  for (let at = text.indexOf(first as string); at >= 0; at = text.indexOf(first as string, at + 1))
    if (more.every((word, i) => text[at + 1 + i] === word)) return true;
  return false;
}

/** Letters and digits that belong together, without case and accents. */
const wordsOf = (text: string): string[] => foldLetters(text).match(/[\p{L}\p{N}]+/gu) ?? [];

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** XHTML without tags; entities are XML's own (R4 narrative.html#xhtml). */
const plain = (div: string): string =>
  div
    .replace(/<[^>]*>/g, ' ')
    .replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,4}));/gi, (_written, decimal, hex, name) => {
      const point = decimal ? Number(decimal) : hex ? Number.parseInt(hex, 16) : undefined;
      if (point === undefined) return ENTITIES[name] ?? ' ';
      return point <= 0x10ffff ? String.fromCodePoint(point) : ' ';
    });
