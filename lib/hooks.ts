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
  const found: unknown[] = [];
  // It grows while it is gone through, and holds nothing twice: what a host gives may lead back to itself.
  const seen = new Set<unknown>([value]);
  for (const current of seen) {
    if (isPromise(current)) found.push(current);
    else if (typeof current === 'object' && current !== null)
      Object.values(current).forEach((member) => seen.add(member));
  }
  // None of them may be left to fail.
  for (const promise of found) Promise.resolve(promise).catch(() => undefined);
  if (found.length > 0) throw new TypeError(`what ${what} gives must hold no promise`);
}

function isPromise(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value;
}
