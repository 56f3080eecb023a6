#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { clientCommand } from './cli/client';
import { init } from './cli/init';
import { rotateKeys } from './cli/keys';
import { migrateCommand } from './cli/migrate';
import { UsageError } from './cli/usage-error';

const USAGE = `Usage: express-oauth-router <command>

  init
      Prints a new secret and two new signing keys as lines for an environment file: an ES256 key for access tokens,
      and an RS256 key for ID tokens, which most OpenID Connect clients expect.

  keys rotate < .env
      Reads such lines, and prints the three steps that replace the secret and the keys without signing anybody out.

  migrate [--postgres URL] [--schema NAME] [--prefix NAME] [--print]
      Creates the tables of PostgreSQL, or prints the statements. Without a URL, PGHOST and its siblings decide.

  client create [--id ID] [--name NAME] [--redirect-uri URI]... [--scope SCOPE] [--grant-type TYPE]... [--public]
                [--metadata FILE]
  client list
  client rotate-secret ID [--keep-for SECONDS]
  client delete ID
      Manage the stored clients. FILE is JSON in the names of RFC 7591. Each needs a storage: --adapter FILE (a module that
      exports an adapter), --redis URL, --postgres URL or --sqlite FILE, with --prefix and --schema where they are set.
`;

const OPTIONS = {
  help: { type: 'boolean' },
  adapter: { type: 'string' },
  redis: { type: 'string' },
  postgres: { type: 'string' },
  sqlite: { type: 'string' },
  prefix: { type: 'string' },
  schema: { type: 'string' },
  print: { type: 'boolean' },
  id: { type: 'string' },
  name: { type: 'string' },
  'redirect-uri': { type: 'string', multiple: true },
  'grant-type': { type: 'string', multiple: true },
  scope: { type: 'string' },
  public: { type: 'boolean' },
  metadata: { type: 'string' },
  'keep-for': { type: 'string' },
} as const;

/** Runs a command, and returns what it prints. @throws UsageError */
async function run(args: readonly string[]): Promise<string> {
  // The id of a client that registered itself may begin with a hyphen.
  const ids = args.includes('--') ? [] : args.filter((arg) => /^-[\w-]{42}$/.test(arg));
  const others = args.filter((arg) => !ids.includes(arg));
  const { values, positionals } = parseArgs({
    args: ids.length > 0 ? [...others, '--', ...ids] : others,
    options: OPTIONS,
    allowPositionals: true,
  });
  const [command, ...rest] = positionals;
  if (values.help || command === 'help') return USAGE;
  if (command === 'init' && rest.length === 0) return init();
  if (command === 'keys' && rest.join() === 'rotate') return rotateKeys(readFileSync(0, 'utf8'));
  if (command === 'migrate' && rest.length === 0) return migrateCommand(values);
  if (command === 'client') return clientCommand(rest, values);
  throw new UsageError(USAGE);
}

function explained(thrown: unknown): string {
  const { message, cause, code } = thrown as { message: string; cause?: unknown; code?: unknown };
  if (thrown instanceof UsageError || String(code).startsWith('ERR_PARSE_ARGS')) return message;
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}

run(process.argv.slice(2)).then(
  // The connections of a storage would keep the process.
  (output) => process.stdout.write(output, () => process.exit(0)),
  (thrown: unknown) => process.stderr.write(`${explained(thrown).trimEnd()}\n`, () => process.exit(1)),
);
