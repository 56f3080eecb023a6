import { migrate, pgMigrations } from '../adapters/postgres';
import { definedMembers } from '../json';
import { openPostgres, type StorageFlags } from './storage';
import { UsageError } from './usage-error';

/** `migrate`: creates the tables of PostgreSQL, or prints the statements. */
export async function migrateCommand(flags: StorageFlags & { print?: boolean | undefined }): Promise<string> {
  const { postgres, prefix, schema, print } = flags;
  const other = (['adapter', 'redis', 'sqlite'] as const).find((name) => flags[name] !== undefined);
  if (other !== undefined) throw new UsageError(`migrate is for PostgreSQL, not --${other}`);
  if (postgres === '') throw new UsageError('--postgres takes a URL');
  const names = definedMembers({ prefix, schema });
  if (print)
    return pgMigrations(names)
      .map(({ version, sql }) => `-- ${version}\n${sql}\n`)
      .join('\n');
  await migrate(openPostgres(postgres ?? ''), names);
  return 'The tables are up to date.\n';
}
