/**
 * The yardstick of bytes: `node:http` that pipes a file, and that writes what comes to a file, down to the disk, with its
 * SHA-256. Forked by media.ts; FOLDER is where.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

const folder = process.env.FOLDER as string;

const server = createServer(async (request, response) => {
  if (request.method === 'GET') {
    const file = join(folder, (request.url as string).slice(1));
    response.writeHead(200, { 'Content-Length': statSync(file).size });
    createReadStream(file).pipe(response);
    return;
  }
  const name = randomUUID();
  const handle = await open(join(folder, name), 'wx');
  const hash = createHash('sha256');
  for await (const piece of request) {
    hash.update(piece);
    await handle.write(piece);
  }
  await handle.sync();
  await handle.close();
  response.writeHead(201, { Location: `/${name}`, ETag: hash.digest('hex') }).end();
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit());
