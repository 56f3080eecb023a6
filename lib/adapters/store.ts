import { storeUnavailable } from '../errors';
import type { EventReporter } from '../events';
import { OPTIONAL_FUNCTIONS, REQUIRED_FUNCTIONS, type Adapter } from './contract';

type AnyFunction = (...args: unknown[]) => unknown;

/** The adapter, as the library calls it: every function is async. */
export type Store = {
  [Name in keyof Adapter]: NonNullable<Adapter[Name]> extends (...args: infer Args) => infer Result
    ? (...args: Args) => Promise<Awaited<Result>>
    : never;
};

/**
 * Adds a time limit to every function of an adapter. A failure becomes an event with the cause, and `temporarily_unavailable`
 * without it.
 */
export function createStore(adapter: Adapter, timeout: number, reporter: EventReporter): Store {
  const store: Record<string, AnyFunction> = {};
  for (const operation of [...REQUIRED_FUNCTIONS, ...OPTIONAL_FUNCTIONS]) {
    const run = adapter[operation] as AnyFunction | undefined;
    if (!run) continue;
    store[operation] = async (...args) => {
      try {
        return await withTimeout(Promise.resolve(Reflect.apply(run, adapter, args)), timeout, operation);
      } catch (cause) {
        reporter.emit('store.failed', { operation, cause });
        throw storeUnavailable(cause);
      }
    };
  }
  return store as unknown as Store;
}

function withTimeout(answer: Promise<unknown>, seconds: number, operation: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`${operation} did not answer within ${seconds} s`));
    }, seconds * 1000);
    const stop = (): void => {
      clearTimeout(timer);
    };
    answer.then(stop, stop);
    answer.then(resolve, reject);
  });
}
