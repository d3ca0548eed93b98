/** What is said of a search that cannot be understood, or will not be done. */
import { invalid, type Refusal } from '../fhir/outcome.ts';
import { nearest } from '../fhir/validation/nearest.ts';

/** 400: a parameter's value or form is wrong. */
export const parameterFault = (name: string, says: string): Refusal =>
  invalid('value', `The parameter ${short(name)} ${says}`);

/** 400: a parameter's modifier, or what it would need, is not there. */
export const unsupported = (name: string, says: string): Refusal =>
  invalid('not-supported', `The parameter ${short(name)} ${says}`);

/** 400: it would cost too much. */
export const tooCostly = (says: string): Refusal => invalid('too-costly', says);

/** So many references a chain may follow, one after the other. */
export const MAX_DEPTH = 6;

/** A text of the client's, short enough to be said back. */
export const short = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

/** Thrown where a type has no such parameter, or not yet. */
export class UnknownParameter extends Error {
  readonly type: string;
  readonly code: string;
  readonly known: readonly string[];
  /** whether a value names it: that is no parameter to be left out */
  inValue = false;

  /** of one that is to come: how far it is */
  readonly coming?: string;

  constructor(type: string, code: string, known: readonly string[], coming?: string) {
    super('an unknown search parameter');
    this.type = type;
    this.code = code;
    this.known = known;
    this.coming = coming;
  }

  /** 400, saying what was meant, or what is possible: the type's parameters, and these others. */
  refusal(others: readonly string[]): Refusal {
    if (this.coming)
      return invalid('not-supported', `The search parameter ${this.code} of ${this.type} ${this.coming}`);
    const known = [...this.known, ...others];
    const near = nearest(this.code, known);
    const hint = near ? `did you mean "${near}"?` : `possible are ${known.join(', ')}`;
    return invalid('not-supported', `${this.type} has no search parameter "${short(this.code)}": ${hint}`);
  }
}
