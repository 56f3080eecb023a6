/** Whether a value is an object in JSON's sense: not `null`, and not a list. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** More than any metadata needs; functions that go through a value call themselves. */
const MAXIMUM_DEPTH = 16;

/** Whether a value has lists and objects within each other so often that going through it could fail. */
export function isDeep(value: unknown, depth = 0): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return depth > MAXIMUM_DEPTH || Object.values(value).some((member) => isDeep(member, depth + 1));
}

/** Parses a text. Returns `undefined` if it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Parses the text of a JSON object. Returns `undefined` for anything else. */
export function parseJsonObject(text: string): Record<string, unknown> | undefined {
  const value = parseJson(text);
  return isJsonObject(value) ? value : undefined;
}

/** Removes members that are `null`: database rows and some servers have `null` for a missing value. */
export function withoutNulls(stored: object): Record<string, unknown> {
  // Copying costs more than looking, and most have none.
  if (!Object.values(stored).includes(null)) return stored as Record<string, unknown>;
  return Object.fromEntries(Object.entries(stored).filter(([, value]) => value !== null));
}

/** Leaves out members that are `undefined`. */
export function definedMembers<T extends object>(
  members: T,
): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as never;
}
