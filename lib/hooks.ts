/** Whether a hook of the host's gave the members of a JSON object: no list, no promise. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isPromise(value);
}

/**
 * For hooks that are not waited for: an async one would be taken for an answer, and end the process when it fails.
 *
 * @throws TypeError
 */
export function refusePromise(value: unknown, what: string): void {
  if (!isPromise(value)) return;
  Promise.resolve(value).catch(() => undefined);
  throw new TypeError(`${what} must not be async`);
}

function isPromise(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value;
}
