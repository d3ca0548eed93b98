/** Makes all generated files into one folder. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { reduceDefinitions } from './definitions.ts';
import { makeSchemas } from './schemas.ts';
import { readSource } from './source.ts';
import { reduceTerminology } from './terminology.ts';
import { makeValidators } from './validators.ts';

/**
 * Writes the generated files, the stamp last.
 *
 * @param root    the project's folder, whose node_modules has the definitions
 * @param folder  an existing, empty folder two levels below the root (the validators import from src by relative path)
 * @param stamp   what the files were made from
 */
export async function makeAll(root: string, folder: string, stamp: string): Promise<void> {
  const source = readSource(root);
  const definitions = reduceDefinitions(source);
  writeFileSync(join(folder, 'definitions.json'), JSON.stringify(definitions));
  writeFileSync(join(folder, 'terminology.json'), JSON.stringify(reduceTerminology(source)));
  const validators = makeValidators(makeSchemas(definitions, source), definitions);
  for (const [name, code] of Object.entries(validators)) writeFileSync(join(folder, name), code);
  writeFileSync(join(folder, 'stamp'), stamp);
}
