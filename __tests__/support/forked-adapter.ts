import { fork, type ChildProcess } from 'node:child_process';
import path from 'node:path';

import type { Adapter } from 'express-oauth-router';
import { adapterOfProcess } from 'express-oauth-router/adapter-contract';

/** Runs a script of this folder that serves an adapter. */
export function forkAdapter(script: string, ...args: string[]): { adapter: Adapter; child: ChildProcess } {
  const child = fork(path.join(__dirname, script), args, { execArgv: ['--import', 'tsx'] });
  return { adapter: adapterOfProcess(child), child };
}
