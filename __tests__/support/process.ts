import { spawn } from 'node:child_process';
import path from 'node:path';

/** A server in its own process. */
export interface ServerProcess {
  origin: string;
  /** Ends the process. Its port is free then. */
  kill(): Promise<void>;
}

/** Runs a script of this folder, which prints the port that it listens on. */
export function startProcess(script: string, ...args: string[]): Promise<ServerProcess> {
  return startProcessWith({}, script, ...args);
}

/** As `startProcess`, with more in its environment. */
export async function startProcessWith(
  env: Record<string, string>,
  script: string,
  ...args: string[]
): Promise<ServerProcess> {
  const child = spawn(process.execPath, ['--import', 'tsx', path.join(__dirname, script), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  const port = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (data: Buffer) => resolve(data.toString().trim()));
    child.once('exit', () => reject(new Error(`${script} ended`)));
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const kill = (): Promise<void> => {
    child.kill('SIGKILL');
    return ended;
  };
  return { origin: `http://127.0.0.1:${port}`, kill };
}
