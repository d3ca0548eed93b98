/** Words of a resource's texts (R4 search.html#text): side by side all are wanted; `and`, `or`, `not`, brackets, quotation marks. */
import { letters } from './compare.ts';

const wordsIn = (text: string): readonly string[] => letters(text).match(/[\p{L}\p{N}]+/gu) ?? [];

/** The texts of a resource, each as its words between blanks. */
function textsOf(value: unknown, member = ''): string[] {
  if (typeof value === 'string') {
    const text = member === 'div' ? value.replace(/<[^>]*>/g, ' ') : value;
    return [` ${wordsIn(text.replace('&amp;', '&').replace('&#252;', 'ü')).join(' ')} `];
  }
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value)
    .filter(([name]) => name !== 'data')
    .flatMap(([name, each]) => textsOf(each, name));
}

/** Whether a resource has the words of an expression, in its narrative (`_text`) or anywhere (`_content`). */
export function hasWords(resource: object, within: '_text' | '_content', expression: string): boolean {
  const { div } = (resource as { text?: { div?: string } }).text ?? {};
  const texts = within === '_content' ? textsOf(resource) : textsOf({ div });
  const terms = expression.toLowerCase().match(/"[^"]*"|[()]|[^\s()"]+/g) ?? [];
  return any();

  function any(): boolean {
    let has = all();
    while (terms[0] === 'or') {
      terms.shift();
      has = all() || has;
    }
    return has;
  }

  function all(): boolean {
    let has = one();
    while (terms.length > 0 && terms[0] !== 'or' && terms[0] !== ')') {
      if (terms[0] === 'and') terms.shift();
      has = one() && has;
    }
    return has;
  }

  function one(): boolean {
    const term = terms.shift() as string;
    if (term === 'not') return !one();
    if (term !== '(') return texts.some((text) => text.includes(` ${wordsIn(term).join(' ')} `));
    const has = any();
    terms.shift();
    return has;
  }
}
