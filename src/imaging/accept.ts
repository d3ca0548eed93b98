/** Media types with parameters, as Content-Type and Accept have them (RFC 9110 §8.3.1, PS3.18 §8.7). */

export interface MediaType {
  /** in small letters */
  readonly type: string;
  /** names in small letters */
  readonly parameters: Readonly<Record<string, string>>;
}

/**
 * One media type. A `type` with a slash is taken without its quotation marks as well: viewers write it so, against the
 * grammar.
 */
export function readMediaType(text: string): MediaType {
  const [type = '', ...rest] = pieces(text, ';');
  const parameters: Record<string, string> = {};
  for (const one of rest) {
    const equals = one.indexOf('=');
    if (equals < 0) continue;
    const value = one.slice(equals + 1).trim();
    parameters[one.slice(0, equals).trim().toLowerCase()] = /^".*"$/.test(value)
      ? value.slice(1, -1).replace(/\\(.)/g, '$1')
      : value;
  }
  return { type: type.trim().toLowerCase(), parameters };
}

/** What a client accepts, what it likes best first; of what it likes alike, what it names first. */
export function readAccept(header: string | undefined, query: URLSearchParams): readonly MediaType[] {
  // PS3.18 §8.3.3.1: in the query it goes before the header
  const text = query.get('accept') ?? header ?? '*/*';
  return pieces(text, ',')
    .map(readMediaType)
    .filter(({ type, parameters }) => type !== '' && quality(parameters) > 0)
    .sort((a, b) => quality(b.parameters) - quality(a.parameters));
}

function quality({ q }: MediaType['parameters']): number {
  const number = Number(q ?? 1);
  return Number.isFinite(number) ? number : 1;
}

/** Pieces of a text between separators outside of quotation marks. */
function pieces(text: string, separator: ',' | ';'): string[] {
  const found: string[] = [];
  let piece = '';
  let quoted = false;
  for (const letter of text) {
    if (letter === '"') quoted = !quoted;
    if (letter === separator && !quoted) {
      found.push(piece);
      piece = '';
    } else piece += letter;
  }
  return [...found, piece];
}

/** Whether a media range takes a type. */
export function takes(range: string, type: string): boolean {
  if (range === '*/*' || range === '*' || range === type) return true;
  return range.endsWith('/*') && type.startsWith(range.slice(0, -1));
}
