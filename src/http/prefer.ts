/** What a client prefers to get back (RFC 7240; R4 http.html#ops). */

export type Return = 'minimal' | 'representation' | 'OperationOutcome';

/**
 * Reads `return` of the header Prefer; the first counts, and what is none of the three is passed over.
 *
 * @param fallback where nothing is preferred
 */
export function readReturn(prefer: string | undefined, fallback: Return = 'representation'): Return {
  if (prefer === undefined) return fallback;
  const found = /(?:^|[,\s])return\s*=\s*"?(minimal|representation|OperationOutcome)"?\s*(?:[,;]|$)/i.exec(
    prefer,
  );
  const word = found?.[1]?.toLowerCase();
  if (word === 'operationoutcome') return 'OperationOutcome';
  return (word as Return | undefined) ?? fallback;
}

/** Whether a client would rather be told later what came of its request (RFC 7240 §4.1; R4 async.html). */
export function prefersAsync(prefer: string | string[] | undefined): boolean {
  return prefer !== undefined && /(?:^|[,\s])respond-async\s*(?:[,;]|$)/i.test(String(prefer));
}

/** Whether unknown parameters are to be passed over (R4 search.html#errors: handling=lenient; strict is the default). */
export function prefersLenient(prefer: string | readonly string[] | undefined): boolean {
  return prefer !== undefined && /(?:^|[,\s])handling\s*=\s*"?lenient"?\s*(?:[,;]|$)/i.test(String(prefer));
}
