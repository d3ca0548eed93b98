/** Random clients: each asks one thing after the other, of any of the servers, and all that happens is recorded. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, openWire, type Wire } from '../../bench/wire.ts';
import type { Operation } from './history.ts';
import { learn, makeWorld, type Planned, planNext, planSeed, type World } from './plan.ts';
import { readAnswers, wordOperation } from './wording.ts';

export interface Options {
  readonly clients: number;
  readonly ms: number;
  /** where the servers listen, or what stands before them */
  readonly ports: readonly number[];
  readonly token: string;
  /** begins all ids of the run */
  readonly run: string;
  /** ms that a client waits between two requests, at most */
  readonly pause: number;
}

/** Lets clients work; returns all that they asked and were told. */
export async function letClientsWork(options: Options): Promise<Operation[]> {
  const operations: Operation[] = [];
  const world = makeWorld(options.run);
  const until = performance.now() + options.ms;
  const seeder = makeClient(0, options, world, operations);
  while (operations.at(-1)?.status !== 200) await seeder.ask(planSeed(world));
  const work = async (number: number) => {
    const client = makeClient(number, options, world, operations);
    while (performance.now() < until) {
      await client.ask(planNext(world));
      // often none at all, so that some come right after each other
      await sleep(Math.max(0, (Math.random() - 0.3) * options.pause));
    }
    client.close();
  };
  await Promise.all(Array.from({ length: options.clients }, (_, number) => work(number + 1)));
  seeder.close();
  return operations;
}

interface Client {
  ask(planned: Planned): Promise<void>;
  close(): void;
}

function makeClient(number: number, options: Options, world: World, operations: Operation[]): Client {
  const wires = new Map<number, Wire>();
  async function connected(): Promise<{ server: number; wire: Wire }> {
    for (;;) {
      const server = Math.floor(Math.random() * options.ports.length);
      const wire = wires.get(server) ?? (await openWire(options.ports[server]!).catch(() => undefined));
      if (wire) {
        wires.set(server, wire);
        return { server, wire };
      }
      await sleep(20);
    }
  }
  return {
    async ask({ kind, asked }) {
      const { server, wire } = await connected();
      const bytes = wordOperation(kind, asked, options.token);
      const operation: Operation = {
        kind,
        client: number,
        server,
        invoked: performance.now(),
        returned: Infinity,
        steps: asked.map(({ step }) => step),
      };
      operations.push(operation);
      const answer = await new Promise<Answer | Error>((resolve) => wire.send(bytes, resolve));
      if (answer instanceof Error) {
        wires.delete(server);
        return;
      }
      const returned = performance.now();
      readAnswers(operation, answer);
      // what 5xx says may yet be carried out
      if (answer.status < 500) operation.returned = returned;
      learn(world, operation);
    },
    close() {
      for (const wire of wires.values()) wire.close();
    },
  };
}
