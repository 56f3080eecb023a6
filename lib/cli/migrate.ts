import { migrate, pgMigrations } from '../adapters/postgres';
import { openPostgres } from './storage';

/** `migrate`: creates the tables of PostgreSQL, or prints the statements. */
export async function migrateCommand(flags: {
  postgres?: string | undefined;
  prefix?: string | undefined;
  schema?: string | undefined;
  print?: boolean | undefined;
}): Promise<string> {
  const { postgres = '', prefix, schema, print } = flags;
  const names = { ...(prefix !== undefined && { prefix }), ...(schema !== undefined && { schema }) };
  if (print)
    return pgMigrations(names)
      .map(({ version, sql }) => `-- ${version}\n${sql}\n`)
      .join('\n');
  await migrate(openPostgres(postgres), names);
  return 'The tables are up to date.\n';
}
