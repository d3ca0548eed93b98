/** Coalescing: calls that arrive while a statement is under way share the next one; a lone call goes straight on. */

export interface LaneOptions<In> {
  /** statements under way at the same time */
  readonly width: number;
  /** calls in one statement, at most */
  readonly most: number;
  /** and what they may weigh together, e.g. in bytes */
  readonly heaviest?: number;
  readonly weigh?: (input: In) => number;
  /** calls with the same identity never share a statement */
  readonly identity?: (input: In) => unknown;
  /** whether a fault proves that nothing of its batch was done; where it does not, each call fails with it */
  readonly undone?: (fault: unknown) => boolean;
}

interface Waiting<In, Out> {
  readonly input: In;
  readonly resolve: (output: Out) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Makes `run`, which does many at once, into a function that does one.
 *
 * @param run  does a batch, giving an output for each input in order. Where it throws and nothing of the batch is
 *             done, each input is run alone, so that only the faulty one fails
 */
export function lane<In, Out>(
  options: LaneOptions<In>,
  run: (batch: readonly In[]) => Promise<readonly Out[]>,
): (input: In) => Promise<Out> {
  let queue: Waiting<In, Out>[] = [];
  let underway = 0;
  let gathering = false;

  function take(): Waiting<In, Out>[] {
    const { most, heaviest = Number.POSITIVE_INFINITY, weigh, identity } = options;
    if (queue.length <= most && !weigh && !identity) {
      const all = queue;
      queue = [];
      return all;
    }
    const batch: Waiting<In, Out>[] = [];
    const rest: Waiting<In, Out>[] = [];
    const identities = new Set<unknown>();
    let weight = 0;
    for (const call of queue) {
      const own = weigh?.(call.input) ?? 0;
      const name = identity?.(call.input);
      const fits = batch.length === 0 || (batch.length < most && weight + own <= heaviest);
      // one that waits holds back later ones of its identity, so that they keep their order
      if (!fits || (name !== undefined && identities.has(name))) rest.push(call);
      else {
        batch.push(call);
        weight += own;
      }
      if (name !== undefined) identities.add(name);
    }
    queue = rest;
    return batch;
  }

  async function runBatch(batch: Waiting<In, Out>[]): Promise<void> {
    try {
      const outputs = await run(batch.map((call) => call.input));
      batch.forEach((call, i) => {
        call.resolve(outputs[i] as Out);
      });
    } catch (fault) {
      if (batch.length === 1 || options.undone?.(fault) === false)
        for (const call of batch) call.reject(fault);
      else for (const call of batch) await runBatch([call]);
    }
  }

  function pump(): void {
    gathering = false;
    while (queue.length > 0 && underway < options.width) {
      underway++;
      runBatch(take()).finally(() => {
        underway--;
        if (queue.length > 0) gather();
      });
    }
  }

  /** Calls that come in during one turn of the event loop, from many sockets, go together. */
  function gather(): void {
    if (gathering || underway >= options.width) return;
    gathering = true;
    setImmediate(pump);
  }

  return (input) =>
    new Promise<Out>((resolve, reject) => {
      queue.push({ input, resolve, reject });
      gather();
    });
}
