/** COPY table FROM STDIN in text format (PostgreSQL, "COPY"), which the pg library has the messages for. */
import type pg from 'pg';

/** The part of pg's connection that COPY needs. */
interface Connection {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

export type Column = string | number | boolean | null;

/** Copies rows into a table; the names of its columns come first. */
export function copyInto(
  client: pg.Client | pg.PoolClient,
  table: string,
  columns: readonly string[],
  rows: readonly (readonly Column[])[],
): Promise<void> {
  if (rows.length === 0) return Promise.resolve();
  const bytes = Buffer.from(rows.map((row) => `${row.map(columnText).join('\t')}\n`).join(''));
  return new Promise((resolve, reject) => {
    let fault: Error | undefined;
    const query = {
      submit(connection: Connection) {
        connection.query(`copy ${table} (${columns.join(', ')}) from stdin`);
      },
      handleCopyInResponse(connection: Connection) {
        connection.sendCopyFromChunk(bytes);
        connection.endCopyFrom();
      },
      handleCommandComplete() {},
      handleError(cause: Error) {
        fault = cause;
      },
      handleReadyForQuery() {
        if (fault) reject(fault);
        else resolve();
      },
    };
    client.query(query as unknown as pg.Submittable);
  });
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

function columnText(column: Column): string {
  if (column === null) return '\\N';
  if (typeof column !== 'string') return String(column);
  return column.replace(/[\\\t\n\r]/g, (character) => ESCAPES[character]!);
}
