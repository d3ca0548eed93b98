/** A migrated, empty database for a test file: `beforeAll(cloneDatabase)`, `afterAll(drop)`. */
import { randomBytes } from 'node:crypto';
import { connect } from '../../src/store/connect.ts';

export interface TestDatabase {
  readonly url: string;
  /** Drops it, ending what is still connected. */
  drop(): Promise<void>;
}

/** A database of one's own, as migrated as the template that setup.ts made; `empty` one without any schema. */
export async function cloneDatabase({ empty = false } = {}): Promise<TestDatabase> {
  const shared = process.env.TEST_DATABASE_URL!;
  const name = `test_${randomBytes(8).toString('hex')}`;
  const run = async (statement: string) => {
    const client = await connect(shared);
    try {
      await client.query(statement);
    } finally {
      await client.end();
    }
  };
  await run(`create database ${name} template ${empty ? 'template1' : 'template'}`);
  const url = new URL(shared);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => run(`drop database ${name} with (force)`) };
}
