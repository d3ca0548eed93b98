/** The value sets and code systems of the standard, read from the generated file when they are first asked for. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CodeSystem, Include, ValueSet } from './terminology.ts';

/** The file as scripts/generate/terminology.ts writes it. */
export interface WrittenTerminology {
  readonly valueSets: Readonly<
    Record<
      string,
      {
        readonly version?: string;
        readonly include: readonly Include[];
        readonly exclude?: readonly Include[];
      }
    >
  >;
  readonly codeSystems: Readonly<
    Record<string, { readonly complete: boolean; readonly concepts: readonly (readonly string[])[] }>
  >;
}

export interface CoreTerminology {
  valueSet(url: string): ValueSet | undefined;
  codeSystem(url: string): CodeSystem | undefined;
}

const FILE = join(import.meta.dirname, '../../generated/r4/terminology.json');

export async function loadCoreTerminology(): Promise<CoreTerminology> {
  const { valueSets, codeSystems } = JSON.parse(await readFile(FILE, 'utf8')) as WrittenTerminology;
  return {
    valueSet: (url) => (Object.hasOwn(valueSets, url) ? valueSets[url] : undefined),
    codeSystem(url) {
      const written = Object.hasOwn(codeSystems, url) ? codeSystems[url] : undefined;
      if (!written) return undefined;
      const above = new Map(written.concepts.map(([code = '', ...parents]) => [code, parents]));
      return { complete: written.complete, above };
    },
  };
}
