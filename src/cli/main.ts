/**
 * The command line. Exit codes: 0 done, 1 failed, 2 not understood (a wrong option or setting). What goes wrong is
 * told in one line on stderr that says what to do.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { settings } from '../config.ts';
import { fail, oneLine, Usage } from './fault.ts';

const { version, description } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string; description: string };

/** A pipe whose reader has left (`consilium token | head -c0`) is no fault. */
process.stdout.on('error', () => {});

/** The commands. What each needs is imported when it runs, so that `--help` and `token` need not wait for the server. */
function program(): Command {
  const all = new Command('consilium')
    .description(description)
    .version(version)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'consilium: ')) })
    .addHelpText('after', `\nSettings are environment variables: see consilium serve --help.`);

  all
    .command('serve')
    .description('start the server, with a PostgreSQL of its own where DATABASE_URL is not set')
    .option('--sample', 'load the sample patients into the store where it is empty')
    .addHelpText('after', `\nSettings (environment variables):\n${settingsHelp()}`)
    .action(async (options) => (await import('./serve.ts')).serve(options));

  all
    .command('load')
    .description('load resources: Bundles, single resources, NDJSON; each may be gzipped')
    .argument('<path...>', 'files, folders (all *.json and *.ndjson below), globs, or - for standard input')
    .option('--parallel <n>', 'writes under way at once', whole(1, 64))
    .option('--url <url>', 'load into the server at this FHIR base URL instead of into our own database')
    .option('--token <token>', 'access token for --url')
    .option('--refused <file>', 'where to write what is refused (default: NAME.refused.ndjson)')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Nothing is loaded twice: what the server has under the same id, also in a newer version, stays as it is. A POST
of a Bundle is loaded under the UUID of its fullUrl. So after an interruption, run the same command again.
A transaction Bundle is loaded as a whole or not at all; what is refused, and why, is written to a file.`,
    )
    .action(async (paths, options) => (await import('./load.ts')).load(paths, options));

  all
    .command('token')
    .description('print an access token, also while the server runs')
    .option('--scope <scope>', 'what it allows', 'system/*.cruds')
    .option('--minutes <n>', 'how long it is valid', whole(1, 525_600), 60)
    .option('--client <name>', 'who uses it, for the audit trail', 'command line')
    .option('--json', 'print it as JSON')
    .action(async (options) => (await import('./token.ts')).token(options));

  clientCommands(all.command('client').description('register apps and backend services, and end them'));
  all
    .command('audit')
    .description('look after the audit trail')
    .command('verify')
    .description(
      'check the seals over the trail of who wrote and was shown what; exit code 1 where one does not hold',
    )
    .option('--json', 'print the result as JSON')
    .action(async (options) => (await import('./audit.ts')).verifyAudit(options));
  userCommands(all.command('user').description('register people who sign in, and end them'));

  all
    .command('migrate')
    .description('bring the database to the schema of this version')
    .option('--check', 'change nothing; exit with 1 where something is to be done')
    .option('--json', 'print the result as JSON')
    .action(async (options) => (await import('./migrate.ts')).migrate(options));

  all
    .command('dicom')
    .description('take DICOM files from modalities by DIMSE (C-ECHO, C-STORE), until it is stopped')
    .option('--aet <title>', 'our application entity title', 'CONSILIUM')
    .option('--port <n>', 'TCP port to listen on', whole(1, 65_535), 11_112)
    .option('--host <address>', 'address to listen on; 0.0.0.0 for all', '127.0.0.1')
    .requiredOption('--allow <title...>', 'titles of those who may send; several may be given')
    .addHelpText(
      'after',
      `
DIMSE knows no access tokens, and a title proves nothing: let only modalities reach the port.`,
    )
    .action(async (options) => (await import('./dicom.ts')).dicom(options));

  all
    .command('doctor')
    .description('check all that the server needs, and say what to do about what is wrong')
    .option('--json', 'print the result as JSON')
    .option('--deep', 'read all bytes of Binaries and files, too, and compare them with their hashes')
    .action(async (options) => (await import('./doctor.ts')).doctor(options));

  return all;
}

/** Of apps; what they do is imported when it is done. */
function clientCommands(client: Command): void {
  const commands = () => import('./client.ts');
  const id = ['--id <id>', 'the client id'] as const;
  const jwks = ['--jwks <file>', 'its public keys, a JSON Web Key Set'] as const;
  const jwksUri = ['--jwks-uri <url>', 'where its public keys are'] as const;
  const json = ['--json', 'print the result as JSON'] as const;
  client
    .command('add')
    .description('print a new client id, and a secret where it has one')
    .addOption(
      new Option('--type <type>', 'how it proves who it is')
        .choices(['public', 'confidential', 'asymmetric', 'backend'])
        .makeOptionMandatory(),
    )
    .option('--id <id>', 'the client id (default: made)')
    .option('--name <name>', 'what people see (default: the id)')
    .option('--redirect-uri <uri...>', 'where people are sent back to; several may be given')
    .option('--scope <scope>', 'what it may ask for (default of an app: whatever a person grants)')
    .option(...jwks)
    .option(...jwksUri)
    .option('--launch-uri <url>', 'where a health record system launches it')
    .option('--logo-uri <url>', 'its picture')
    .option('--introspect', 'let it ask about access tokens of others')
    .option(
      '--organization <reference...>',
      'limit a backend service to what is of Organization/ID; several may be given',
    )
    .option(...json)
    .action(async (options) => (await commands()).addClient(options));
  client
    .command('list')
    .description('print all clients')
    .option(...json)
    .action(async (options) => (await commands()).listClients(options));
  client
    .command('rotate')
    .description('make a new secret, or take new keys; the old ones are no more')
    .requiredOption(...id)
    .option(...jwks)
    .option(...jwksUri)
    .option(...json)
    .action(async (options) => (await commands()).rotateClient(options));
  client
    .command('disable')
    .description('let it in no more, and end all it was granted')
    .requiredOption(...id)
    .action(async (options) => (await commands()).switchClient(options.id, false));
  client
    .command('enable')
    .description('let it in (again)')
    .requiredOption(...id)
    .action(async (options) => (await commands()).switchClient(options.id, true));
  client
    .command('invite')
    .description('print a token with which one app may register itself (REGISTRATION=token)')
    .action(async () => (await commands()).inviteClient());
}

/** Of people. */
function userCommands(user: Command): void {
  const commands = () => import('./user.ts');
  const username = ['--username <name>', 'the name to sign in with'] as const;
  const json = ['--json', 'print the result as JSON'] as const;
  user
    .command('add')
    .description('register a person; without a password, print a link by which it is chosen, or mail it')
    .requiredOption(...username)
    .requiredOption(
      '--fhir-user <reference>',
      'who it is: Practitioner/ID, Patient/ID, RelatedPerson/ID, Person/ID',
    )
    .option('--name <name>', 'what others see (default: the name in the records)')
    .option('--email <address>', 'where links are sent to (SMTP_URL)')
    .option('--password-stdin', 'read the password from standard input')
    .option(...json)
    .action(async (options) => (await commands()).addUser(options));
  user
    .command('list')
    .description('print all users')
    .option(...json)
    .action(async (options) => (await commands()).listUsers(options));
  user
    .command('reset')
    .description('mail or print a link by which the person chooses a new password')
    .requiredOption(...username)
    .option('--passkeys', 'remove the passkeys, too: they were lost')
    .option(...json)
    .action(async (options) => (await commands()).resetUser(options));
  user
    .command('disable')
    .description('let the person in no more, and end all sessions and grants')
    .requiredOption(...username)
    .action(async (options) => (await commands()).switchUser(options.username, false));
  user
    .command('enable')
    .description('let the person in again')
    .requiredOption(...username)
    .action(async (options) => (await commands()).switchUser(options.username, true));
  user
    .command('email')
    .description('say where links for the person are sent to; without an address nowhere')
    .requiredOption(...username)
    .option('--email <address>', 'the address')
    .action(async (options) => (await commands()).mailUser(options.username, options.email));
  user
    .command('clear')
    .description('say how confidential what a practitioner sees may be labelled')
    .requiredOption(...username)
    .addOption(
      new Option('--label <label>', 'N (normal), R (restricted) or V (very restricted)')
        .choices(['N', 'R', 'V'])
        .makeOptionMandatory(),
    )
    .action(async (options) => (await commands()).clearUser(options.username, options.label));
}

function settingsHelp(): string {
  const width = Math.max(...Object.values(settings).map(({ name }) => name.length));
  return Object.values(settings)
    .map(({ name, meaning, shown }) => `  ${name.padEnd(width)}  ${meaning} (default: ${shown})`)
    .join('\n');
}

const whole = (least: number, most: number) => (text: string) => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`);
  return value;
};

function codeOf(fault: unknown): number {
  // Commander has told it already.
  if (fault instanceof CommanderError) return fault.exitCode === 0 ? 0 : 2;
  fail(oneLine(fault));
  return fault instanceof Usage ? 2 : 1;
}

try {
  await program().parseAsync();
} catch (fault) {
  process.exitCode = codeOf(fault);
}
