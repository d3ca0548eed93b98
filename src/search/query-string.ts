/** The parameters of a query string or a form (R4 http.html#parameters), strictly decoded. */
import { invalid } from '../fhir/outcome.ts';

export type Parameter = readonly [name: string, value: string];

/**
 * Decodes `application/x-www-form-urlencoded`: pairs in the order given, plus signs standing for spaces.
 *
 * @param text without a question mark
 * @throws     Refusal 400 for a bad percent escape, naming the parameter
 */
export function readParameters(text: string): Parameter[] {
  const parameters: Parameter[] = [];
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const at = pair.indexOf('=');
    const name = decoded(at < 0 ? pair : pair.slice(0, at), pair);
    parameters.push([name, at < 0 ? '' : decoded(pair.slice(at + 1), pair)]);
  }
  return parameters;
}

function decoded(text: string, pair: string): string {
  try {
    return decodeURIComponent(text.includes('+') ? text.replaceAll('+', ' ') : text);
  } catch {
    const name = pair.split('=')[0]?.slice(0, 80);
    throw invalid('value', `The parameter "${name}" holds a bad percent escape: text is written as UTF-8`);
  }
}

/** Writes parameters as a query string, readable where the grammar of URLs allows (RFC 3986 §3.4). */
export function writeParameters(parameters: readonly Parameter[]): string {
  return parameters.map(([name, value]) => `${encoded(name)}=${encoded(value)}`).join('&');
}

/** What stands in a query as it is. */
const PLAIN = /^[\w.!~*'(),:/$-]*$/;

function encoded(text: string): string {
  if (PLAIN.test(text)) return text;
  return encodeURIComponent(text).replace(/%(?:2C|3A|2F|24)/g, decodeURIComponent);
}
