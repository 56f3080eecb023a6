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

/** The same for what a hook gives whole: what is in it is not waited for either. */
export function refusePromises(value: unknown, what: string): void {
  refusePromise(value, what);
  if (typeof value !== 'object' || value === null) return;
  // Those that are not first would be left to fail.
  const faults = Object.values(value).flatMap((member: unknown) => {
    try {
      refusePromises(member, `what ${what} gives`);
      return [];
    } catch (fault) {
      return [fault as Error];
    }
  });
  if (faults[0]) throw faults[0];
}

function isPromise(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value;
}
