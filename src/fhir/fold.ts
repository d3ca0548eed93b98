/** Texts as searches compare them: without case and accents; strings without punctuation too (R4 search.html#string). */

/** Letters that Unicode does not take apart into a letter and a mark; and the sigma that ends a word, as any other. */
const PLAIN: Readonly<Record<string, string>> = {
  ı: 'i',
  ø: 'o',
  ł: 'l',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  æ: 'ae',
  œ: 'oe',
  ß: 'ss',
  ς: 'σ',
};

/**
 * A string in the form that is stored and searched. Of punctuation, what people write or leave out is of no matter:
 * apostrophes and full stops (O'Brien, St.), and hyphens, commas and the like, which are as blanks.
 */
export function fold(text: string): string {
  if (/^[a-z0-9]*$/.test(text)) return text;
  return foldLetters(text.replace(/['’ʼ`´.]/g, '').replace(/[\p{Pd},;:/]+/gu, ' '));
}

/** The text without case, accents and surplus white space. */
export function foldLetters(text: string): string {
  return text
    .toLowerCase()
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .replace(/[ıøłđðþæœßς]/g, (letter) => PLAIN[letter] as string)
    .replace(/\s+/g, ' ')
    .trim();
}
