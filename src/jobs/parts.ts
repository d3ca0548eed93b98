/** Bodies of jobs, kept in pieces. */
import { type Executor, run } from '../store/pool.ts';
import { type Claim, Lost } from './job.ts';

/** Bytes of a piece, at most. */
export const PIECE = 1024 * 1024;

/** The attempt under which the body of the request is kept. */
export const REQUEST = 0;

const ADD = {
  name: 'add_job_part',
  text: `insert into job_part (job, attempt, n, piece)
         select id, $2, $3, $4 from job where id = $1 and ($2 = ${REQUEST} or (attempt = $2 and state = 'r'))
         returning n`,
};
const READ = {
  name: 'read_job_part',
  text: 'select piece from job_part where job = $1 and attempt = $2 and n = $3',
};

/** @throws Lost where the attempt may not go on */
export async function addPart(
  executor: Executor,
  { id, attempt }: Claim,
  n: number,
  piece: Buffer,
): Promise<void> {
  const rows = await run(executor, ADD, [id, attempt, n, piece]);
  if (rows.length === 0) throw new Lost();
}

/**
 * The pieces of a body, each read when the one before is taken.
 *
 * @param count how many there are; all there are where undefined
 * @throws      Lost where one that should be there is gone
 */
export async function* readParts(
  executor: Executor,
  { id, attempt }: Claim,
  count?: number,
): AsyncGenerator<Buffer> {
  for (let n = 0; n !== count; n++) {
    const [row] = await run(executor, READ, [id, attempt, n]);
    if (!row && count === undefined) return;
    if (!row) throw new Lost();
    yield row[0] as Buffer;
  }
}
