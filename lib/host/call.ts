import { OAuthError, serverError } from '../errors';
import { isJsonObject } from '../json';
import { withoutValues } from '../without-values';

/** A value, or a promise of it. */
export type Awaitable<T> = T | Promise<T>;

/**
 * Calls a function of the host and waits for its result. An `OAuthError` that it throws is passed on to the client; any other
 * exception becomes the error that `otherwise` returns. By default this is `server_error`, and only the operator sees the cause.
 */
export async function callHost<T>(
  call: () => Awaitable<T>,
  otherwise: (cause: unknown) => OAuthError = serverError,
): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    throw thrown instanceof OAuthError ? thrown : otherwise(thrown);
  }
}

/**
 * Calls a function of the host that gets secrets, or what may be some. An exception that repeats them, as those of query builders do, is
 * reported without its message.
 */
export function callHostWith<T>(
  secrets: readonly string[],
  call: () => Awaitable<T>,
  otherwise: (cause: unknown) => OAuthError = serverError,
): Promise<T> {
  return callHost(call, (thrown) => otherwise(withoutValues(thrown, secrets)));
}

/**
 * Calls a function of the host that must be synchronous. The promise of an async function would be mistaken for its result, and
 * would end the process when it rejects.
 *
 * @throws OAuthError the function's own, or `server_error` if it throws another exception or returns a promise
 */
export function callHostSync<T>(name: string, call: () => T): T {
  try {
    const result = call();
    if (!isPromise(result)) return result;
    Promise.resolve(result).catch(() => undefined);
  } catch (thrown) {
    throw thrown instanceof OAuthError ? thrown : serverError(thrown);
  }
  throw serverError(new TypeError(`${name} must not be async`));
}

/** Refuses a hook's result that contains promises, which nothing waits for. @throws OAuthError `server_error` */
export function refusePromises(value: unknown, name: string): void {
  const found: unknown[] = [];
  // The set grows while it is iterated, and holds each value once: an object may refer back to itself.
  const seen = new Set<unknown>([value]);
  for (const current of seen) {
    if (isPromise(current)) found.push(current);
    else if (typeof current === 'object' && current !== null)
      Object.values(current).forEach((member) => seen.add(member));
  }
  // A rejection that nothing handles would end the process.
  for (const promise of found) Promise.resolve(promise).catch(() => undefined);
  if (found.length > 0) throw serverError(new TypeError(`the result of ${name} must not contain promises`));
}

/**
 * Calls a function of the host that returns members of a document: an object without promises, or nothing.
 *
 * @throws OAuthError the function's own, or `server_error` for another result or a reserved member
 */
export async function callForMembers(
  name: string,
  call: () => unknown,
  reserved: readonly string[],
): Promise<Readonly<Record<string, unknown>>> {
  const members: unknown = (await callHost(call)) ?? {};
  refusePromises(members, name);
  if (!isJsonObject(members)) throw serverError(new TypeError(`${name} must return an object`));
  const refused = reserved.find((member) => Object.hasOwn(members, member));
  if (refused !== undefined) throw serverError(new Error(`${name} must not set ${refused}`));
  return members;
}

function isPromise(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value;
}
