/** Refusals and the OperationOutcomes they become (R4 operationoutcome.html): made once, where the fault is seen. */
import type { OperationOutcome, OperationOutcomeIssue } from 'fhir/r4.js';

export type IssueType = OperationOutcomeIssue['code'];

/** One thing that is wrong: what (`diagnostics`, a sentence that says how to mend it) and where (`expression`). */
export interface Issue {
  readonly severity: OperationOutcomeIssue['severity'];
  readonly code: IssueType;
  readonly diagnostics: string;
  /** FHIRPath of the element at fault, e.g. `Observation.component[1].code` */
  readonly expression?: string;
}

/** Thrown where a request cannot be fulfilled; the door answers it with `status` and an OperationOutcome. */
export class Refusal extends Error {
  readonly status: number;
  readonly issues: readonly Issue[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, issues: readonly Issue[], headers: Readonly<Record<string, string>> = {}) {
    super(issues[0]?.diagnostics ?? `refused with status ${status}`);
    this.name = 'Refusal';
    this.status = status;
    this.issues = issues;
    this.headers = headers;
  }
}

/**
 * A refusal with one error issue.
 *
 * @param status      HTTP status, 4xx or 5xx
 * @param code        issue type of R4 valueset-issue-type
 * @param diagnostics what is wrong and how to mend it
 * @param expression  FHIRPath of the element, where there is one
 */
export function refusal(status: number, code: IssueType, diagnostics: string, expression?: string): Refusal {
  return new Refusal(status, [error(code, diagnostics, expression)]);
}

/** A fault in what the client sent: 400 (R4 http.html#Status-Codes). */
export function invalid(code: IssueType, diagnostics: string, expression?: string): Refusal {
  return refusal(400, code, diagnostics, expression);
}

/** An issue of severity error. */
export function error(code: IssueType, diagnostics: string, expression?: string): Issue {
  return expression === undefined
    ? { severity: 'error', code, diagnostics }
    : { severity: 'error', code, diagnostics, expression };
}

/** The OperationOutcome that shows these issues. */
export function operationOutcome(issues: readonly Issue[]): OperationOutcome {
  return {
    resourceType: 'OperationOutcome',
    issue: issues.map(({ expression, ...issue }) =>
      expression ? { ...issue, expression: [expression] } : issue,
    ),
  };
}

/**
 * A refusal of an entry of a Bundle, with expressions from the Bundle on.
 *
 * @param type  of the resource that expressions begin with
 * @param place where there is no expression
 */
export function inBundleEntry(
  fault: Refusal,
  index: number,
  type?: string,
  place = `Bundle.entry[${index}]`,
): Refusal {
  const resource = `Bundle.entry[${index}].resource`;
  const issues = fault.issues.map((issue) => {
    const { expression = '' } = issue;
    if (expression.startsWith('Bundle.entry[')) return issue;
    // the resource's own elements, or those of a patch
    const root = [type, 'Parameters'].find((name) => name && expression.startsWith(`${name}.`));
    return { ...issue, expression: root ? resource + expression.slice(root.length) : place };
  });
  return new Refusal(fault.status, issues, fault.headers);
}
