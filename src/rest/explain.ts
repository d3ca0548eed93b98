/** `__explain=true`: how a search is understood and done, in place of what it finds. A means of ours, not of FHIR. */
import type { Parameters } from 'fhir/r4.js';
import { invalid } from '../fhir/outcome.ts';
import { answerJson } from '../http/answer.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Parameter } from '../search/query-string.ts';
import type { SearchRequest } from '../search/request.ts';
import type { RestContext } from './selection.ts';

const NAME = '__explain';

/**
 * Takes it out of the parameters of a search.
 *
 * @throws Refusal 400 where it is neither true nor false, or stands twice
 */
export function readExplain(parameters: readonly Parameter[]): {
  readonly explained: boolean;
  readonly others: readonly Parameter[];
} {
  const own = parameters.filter(([name]) => name === NAME);
  if (own.length === 0) return { explained: false, others: parameters };
  const [[, value] = []] = own;
  if (own.length > 1 || (value !== 'true' && value !== 'false'))
    throw invalid('value', `The parameter ${NAME} is true or false, and stands once`);
  return { explained: value === 'true', others: parameters.filter(([name]) => name !== NAME) };
}

/** Answers with the expression that was read, and each statement with its plan: JSON as texts. */
export async function answerExplanation(
  { records }: RestContext,
  exchange: Exchange,
  request: SearchRequest,
): Promise<void> {
  const statements = await records.explain(exchange.caller, request);
  const answer: Parameters = {
    resourceType: 'Parameters',
    parameter: [
      { name: 'expression', valueString: JSON.stringify(expressionOf(request), written) },
      ...statements.map(({ sql, plan }) => ({
        name: 'statement',
        part: [
          { name: 'sql', valueString: sql },
          { name: 'plan', valueString: JSON.stringify(plan) },
        ],
      })),
    ],
  };
  return answerJson(exchange, 200, [], JSON.stringify(answer));
}

function expressionOf({ parameters, each, after, ...request }: SearchRequest): object {
  if (!each) return request;
  const { filters, sort, ...common } = request;
  return { ...common, each };
}

/** Parameters by their codes, and times without end as such. */
function written(name: string, value: unknown): unknown {
  if (name === 'parameter') return (value as { readonly code: string }).code;
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}
