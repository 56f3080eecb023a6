import type { ChildProcess } from 'node:child_process';

import { REQUIRED_FUNCTIONS, type Adapter } from '../adapters/contract';

type AnyFunction = (...args: unknown[]) => unknown;

interface Call {
  readonly id: number;
  readonly name: keyof Adapter;
  readonly args: readonly unknown[];
}

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/**
 * Lets the process that forked this one call an adapter here: the other half of `adapterOfProcess`.
 *
 * @throws Error if the process was not forked, and has no channel
 */
export function serveAdapter(adapter: Adapter): void {
  if (!process.send) throw new Error('serveAdapter() needs a process that was started by fork()');
  const respond = (answer: Answer): void => void process.send?.(answer);
  process.on('message', ({ id, name, args }: Call) => {
    const run = adapter[name] as AnyFunction;
    new Promise((resolve) => {
      resolve(run(...args));
    }).then(
      (result) => respond({ id, result }),
      (thrown: unknown) => respond({ id, error: String(thrown) }),
    );
  });
}

/** Returns the adapter that a forked process serves with `serveAdapter`: the functions that every adapter has. */
export function adapterOfProcess(child: ChildProcess): Adapter {
  const pending = new Map<number, (answer: Answer) => void>();
  let id = 0;
  child.on('message', (answer: Answer) => {
    pending.get(answer.id)?.(answer);
    pending.delete(answer.id);
  });
  child.on('exit', () => {
    for (const [call, settle] of pending) settle({ id: call, error: 'the process has ended' });
    pending.clear();
  });
  const call = (name: string, args: unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const own = id++;
      pending.set(own, ({ result, error }) => {
        if (error === undefined) resolve(result);
        else reject(new Error(error));
      });
      child.send({ id: own, name, args });
    });
  const functions = REQUIRED_FUNCTIONS.map(
    (name) => [name, (...args: unknown[]) => call(name, args)] as const,
  );
  return Object.fromEntries(functions) as unknown as Adapter;
}
