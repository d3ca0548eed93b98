/**
 * Judges a history: whether all that clients were told, and all that the server itself tells at the end, can come of
 * doing one thing after the other, each at a moment between its request and its answer.
 */
import { conditionChoices } from './conditions.ts';
import { type Content, type History, isRead, type Operation, type Step, shown } from './history.ts';
import { type FaultKind, findMakers, type Makers, type Placed, type Tell } from './makers.ts';
import { addEdge, addEvent, makeGraph, type Settled, settle } from './order.ts';
import { readings } from './readings.ts';

export interface Fault {
  readonly kind: FaultKind;
  readonly text: string;
  /** the smallest part of the history that shows it */
  readonly operations: readonly Operation[];
}

/** Of these alternatives one must hold, each of them some edges. */
export interface Choice {
  readonly event: number;
  readonly alternatives: readonly (readonly Edge[])[];
  readonly kind: FaultKind;
  readonly text: string;
}
export type Edge = readonly [before: number, after: number];

/** What the parts of the checker share. An event is a step, or a transaction: what happens at one moment. */
export interface Trial {
  readonly history: History;
  readonly tell: Tell;
  eventOf(placed: Placed): number;
  /**
   * The event of seeing what stays as it is. Where a transaction only reads, that is itself; where it writes, each
   * step sees at a moment of its own within the call: nothing keeps others from changing it before the commit.
   */
  sightOf(placed: Placed): number;
  edge(before: number, after: number): void;
  /** Whether an event may, by the times of requests and answers, lie after one and before another. */
  mayMeet(event: number, from: number | undefined, to: number | undefined): boolean;
  /** The event that made a version; undefined where there is no such version, or nobody made it. */
  madeAt(resource: string, version: number): number | undefined;
  contentAt(resource: string, version: number): Content | undefined;
  /** The version that a step made. */
  placeOf(step: Step): { readonly resource: string; readonly version: number } | undefined;
}

/** So many faults of a kind are told. */
const TOLD = 10;

export function judge(history: History): Fault[] {
  const faults: Fault[] = [];
  const tell: Tell = (kind, text, ...operations) => {
    if (faults.filter((fault) => fault.kind === kind).length < TOLD) faults.push({ kind, text, operations });
  };
  for (const operation of history.operations) checkAnswers(operation, tell);
  checkOrder(history, findMakers(history, tell), tell);
  return faults;
}

/** A fault with the operations that show it. */
export function told({ kind, text, operations }: Fault): string {
  return [`${kind}: ${text}`, ...operations.map((operation) => `  ${shown(operation)}`)].join('\n');
}

/** What may be answered. 400 is for two entries that turn out to mean one resource. */
const ANSWERS = new Set([200, 201, 204, 304, 404, 409, 410, 412, 503]);

function checkAnswers(operation: Operation, tell: Tell): void {
  const { kind, status, steps } = operation;
  if (status === undefined) return;
  const clash = status === 400 && kind === 'transaction' && steps.some(({ condition }) => condition);
  if (!ANSWERS.has(status) && !clash) tell('answer', `${status} is no answer to this`, operation);
  if (kind === 'single' || status >= 400) return;
  for (const [i, { answer }] of steps.entries()) {
    const fits = answer && ANSWERS.has(answer.status) && (kind === 'batch' || answer.status < 400);
    if (!fits) tell('answer', `entry ${i} has ${answer?.status ?? 'no answer'}`, operation);
  }
}

function checkOrder(history: History, makers: Makers, tell: Tell): void {
  const graph = makeGraph();
  const operations: Operation[] = [];
  const trial = makeTrial(history, makers, tell, {
    event(operation) {
      operations.push(operation);
      return addEvent(graph, operation.invoked, operation.returned);
    },
    edge: (before, after) => addEdge(graph, before, after),
    mayMeet: (event, from, to) =>
      (from === undefined || graph.invoked[from]! <= graph.returned[event]!) &&
      (to === undefined || graph.invoked[event]! <= graph.returned[to]!),
  });
  for (const [resource, versions] of history.resources)
    for (const { version } of versions) {
      const [before, at] = [trial.madeAt(resource, version - 1), trial.madeAt(resource, version)];
      if (before !== undefined && at !== undefined) trial.edge(before, at);
    }
  let open = [...readings(trial), ...conditionChoices(trial)];
  const of = (events: readonly number[]) => [...new Set(events.map((event) => operations[event]!))];
  for (;;) {
    const settled = settle(graph);
    if (settled.ring) {
      tell('order', 'these follow each other in a ring', ...of(settled.ring));
      return;
    }
    const { decided, left } = decide(settled, open, ({ kind, text, event, alternatives }) => {
      const all = [event, ...alternatives.flat(2)];
      tell(kind, text, ...of([...all, ...all.flatMap(settled.bounding)]));
    });
    for (const [before, after] of decided) trial.edge(before, after);
    open = left;
    if (decided.length > 0) continue;
    for (const chain of settled.late)
      tell('order', 'the first must be before the last, and was asked for after its answer', ...of(chain));
    return;
  }
}

/** Takes the choices of which only one alternative is left. */
function decide(
  { earliest, latest }: Settled,
  choices: readonly Choice[],
  none: (choice: Choice) => void,
): { decided: Edge[]; left: Choice[] } {
  const decided: Edge[] = [];
  const left: Choice[] = [];
  const holds = ([before, after]: Edge) => latest[before]! <= earliest[after]!;
  const mayHold = ([before, after]: Edge) => earliest[before]! <= latest[after]!;
  for (const choice of choices) {
    if (choice.alternatives.some((edges) => edges.every(holds))) continue;
    const possible = choice.alternatives.filter((edges) => edges.every(mayHold));
    if (possible.length === 0) none(choice);
    else if (possible.length === 1) decided.push(...possible[0]!);
    else left.push(choice);
  }
  return { decided, left };
}

function makeTrial(
  history: History,
  makers: Makers,
  tell: Tell,
  order: Pick<Trial, 'edge' | 'mayMeet'> & { readonly event: (of: Operation) => number },
): Trial {
  const events = new Map<Step | Operation, number>();
  const places = new Map<Step, { readonly resource: string; readonly version: number }>();
  for (const [resource, made] of makers)
    for (const [i, maker] of made.entries()) if (maker) places.set(maker.step, { resource, version: i + 1 });
  const eventOf = (key: Step | Operation, operation: Operation): number => {
    const event = events.get(key) ?? order.event(operation);
    events.set(key, event);
    return event;
  };
  const trial: Trial = {
    ...order,
    history,
    tell,
    eventOf: ({ operation, step }) => eventOf(operation.kind === 'transaction' ? operation : step, operation),
    sightOf(placed) {
      const { operation, step } = placed;
      const writes = operation.kind === 'transaction' && !operation.steps.every(isRead);
      return writes ? eventOf(step, operation) : trial.eventOf(placed);
    },
    madeAt(resource, version) {
      const maker = makers.get(resource)?.[version - 1];
      return maker && trial.eventOf(maker);
    },
    contentAt: (resource, version) => history.resources.get(resource)?.[version - 1]?.content,
    placeOf: (step) => places.get(step),
  };
  return trial;
}
