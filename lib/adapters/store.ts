import { serverError, storeUnavailable } from '../errors';
import { isJsonObject } from '../json';
import type { EventReporter } from '../event-reporter';
import { withoutValues } from '../without-values';
import { OPTIONAL_FUNCTIONS, REQUIRED_FUNCTIONS, type Adapter } from './contract';
import { RESULTS, type Moment } from './results';

type AnyFunction = (...args: unknown[]) => unknown;
type Results = typeof RESULTS;

/** The adapter, as the library calls it: every function is async, and every result has been checked. */
export type Store = {
  [Name in keyof Adapter]: NonNullable<Adapter[Name]> extends (...args: infer Args) => infer Result
    ? (...args: Args) => Promise<Name extends keyof Results ? ReturnType<Results[Name]> : Awaited<Result>>
    : never;
};

interface StoreOptions {
  /** Seconds. */
  timeout: number;
  /** Epoch milliseconds. */
  clock: () => number;
  reporter: Pick<EventReporter, 'emit'>;
}

/**
 * Adds a time limit and a check of the result to every function of an adapter. A failure becomes an event with the cause, and
 * `temporarily_unavailable` without it; an invalid result becomes `server_error`.
 */
export function createStore(adapter: Adapter, { timeout, clock, reporter }: StoreOptions): Store {
  const store: Record<string, AnyFunction> = {};
  const moment: Moment = { now: clock };
  for (const operation of [...REQUIRED_FUNCTIONS, ...OPTIONAL_FUNCTIONS]) {
    const run = adapter[operation] as AnyFunction | undefined;
    if (!run) continue;
    const check = (RESULTS as Partial<Record<string, AnyFunction>>)[operation];
    store[operation] = async (...args) => {
      let result: unknown;
      try {
        result = await withTimeout(Promise.resolve(Reflect.apply(run, adapter, args)), timeout, operation);
      } catch (thrown) {
        const cause = withoutValues(thrown, textsOf(args));
        reporter.emit('store.failed', { operation, cause });
        throw storeUnavailable(cause);
      }
      return check ? checked(check, result, [...args, moment]) : result;
    };
  }
  return store as unknown as Store;
}

function checked(check: AnyFunction, result: unknown, args: unknown[]): unknown {
  try {
    return check(result, ...args);
  } catch (cause) {
    throw serverError(cause);
  }
}

/** The texts of a call: ids, keys, and the members of records. */
function textsOf(args: readonly unknown[]): string[] {
  const texts = args.flatMap((arg) => (isJsonObject(arg) ? Object.values(arg) : [arg]));
  return texts.filter((text) => typeof text === 'string');
}

function withTimeout(answer: Promise<unknown>, seconds: number, operation: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`${operation} did not answer within ${seconds} s`));
    }, seconds * 1000);
    const settle =
      (settled: (value: unknown) => void) =>
      (value: unknown): void => {
        clearTimeout(timer);
        settled(value);
      };
    answer.then(settle(resolve), settle(reject));
  });
}
