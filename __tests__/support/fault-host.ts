import { fork } from 'node:child_process';
import path from 'node:path';

/** The store of a host, and where it is. */
export interface FaultStore {
  readonly kind: 'redis' | 'cluster' | 'sentinel' | 'postgres';
  readonly url?: string;
  /** Of the cluster's nodes, or of the Sentinels. */
  readonly ports?: readonly number[];
  /** The package of the client of Redis. @defaultValue `'ioredis'` */
  readonly driver?: 'ioredis' | 'redis';
  /** Whether the client of Redis has the settings of `docs/production.md`. */
  readonly isTuned?: boolean;
  /** The isolation of PostgreSQL's transactions. */
  readonly isolation?: string | undefined;
}

export type FromHost = { port: number } | { event: string };
export interface ToHost {
  /** How far the clock is ahead. Milliseconds. */
  readonly step: number;
}

/** A host in its own process. */
export interface FaultHost {
  readonly origin: string;
  /** The names of its events. */
  readonly events: readonly string[];
  /** Whether the process has ended without having been killed. */
  readonly hasDied: boolean;
  step(milliseconds: number): void;
  kill(): Promise<void>;
}

export async function startFaultHost(store: FaultStore): Promise<FaultHost> {
  const child = fork(path.join(__dirname, 'fault-host-process.ts'), [JSON.stringify(store)], {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, NODE_ENV: 'test' },
  });
  const events: string[] = [];
  const state = { isReady: false, isKilled: false, hasEnded: false };
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      state.hasEnded = true;
      resolve();
    });
  });
  const port = await new Promise<number>((resolve, reject) => {
    child.on('message', (message: FromHost) => {
      if ('event' in message) events.push(message.event);
      else {
        state.isReady = true;
        resolve(message.port);
      }
    });
    void ended.then(() => reject(new Error('the host ended')));
    setTimeout(() => {
      reject(new Error('the host does not start'));
      if (!state.isReady) child.kill('SIGKILL');
    }, 20_000).unref();
  });
  return {
    origin: `http://127.0.0.1:${port}`,
    events,
    get hasDied() {
      return state.hasEnded && !state.isKilled;
    },
    step: (milliseconds) => void child.send({ step: milliseconds } satisfies ToHost),
    kill: () => {
      state.isKilled = true;
      child.kill('SIGKILL');
      return ended;
    },
  };
}
