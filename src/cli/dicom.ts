/** `consilium dicom`: a DIMSE server for modalities, beside the server or instead of it. */
import { once } from 'node:events';
import { withDatabase } from './database.ts';
import { configuration } from './fault.ts';
import { logger } from './log.ts';
import { explained } from './serve/listen.ts';
import { stopSignal } from './serve/stop.ts';
import { withApp } from './with-app.ts';

export async function dicom({
  aet,
  port,
  host,
  allow,
}: {
  readonly aet: string;
  readonly port: number;
  readonly host: string;
  readonly allow: readonly string[];
}): Promise<void> {
  const config = configuration();
  const log = await logger(config);
  await withDatabase(config, (database) =>
    withApp(config, database, log, async ({ imaging, records }) => {
      const gateway = imaging.gateway({ title: aet, allowed: new Set(allow), caller: records.operator });
      gateway.listen(port, host);
      await once(gateway, 'listening').catch((fault) => {
        throw explained(fault, { port, host }, { port: '--port', host: '--host' });
      });
      console.log(
        `${aet} takes DICOM files at ${host}:${port} from ${allow.join(', ')}; stop it with Ctrl-C`,
      );
      await stopSignal();
      gateway.close();
    }),
  );
}
