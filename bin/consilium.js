#!/usr/bin/env node
// Starts the command line: TypeScript is run as it is, which Node can do from 22.18 on. The generated
// definitions (see scripts/generate.ts) are made first where they are missing or out of date.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(
    `consilium: Node ${process.versions.node} is too old (22.18 or later is needed). Run it through npm, which brings Node 24: npm ci && npm start`,
  );
  process.exit(1);
}
await import('../scripts/generate.ts');
await import('../src/cli/main.ts');
