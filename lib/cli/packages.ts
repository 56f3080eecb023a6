import { createRequire } from 'node:module';
import path from 'node:path';

import { UsageError } from './usage-error';

/** Loads an optional package: that of the host, in whose folder the command runs. @throws UsageError if there is none */
export function loadPackage(...names: readonly string[]): unknown {
  const folders = [path.join(process.cwd(), 'package.json'), __filename];
  for (const name of names) {
    for (const folder of folders) {
      try {
        return createRequire(folder)(name) as unknown;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND' && !isUnknownBuiltin(error))
          throw error;
      }
    }
  }
  throw new UsageError(`this needs the package ${names.join(' or ')}: npm install ${names.at(-1) ?? ''}`);
}

function isUnknownBuiltin(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_UNKNOWN_BUILTIN_MODULE';
}
