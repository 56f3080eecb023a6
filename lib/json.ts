/** Whether a value is an object in JSON's sense: not `null`, and not a list. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
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
  const entries = Object.entries(stored);
  // Copying costs more than looking, and most have none.
  const hasNulls = entries.some(([, value]) => value === null);
  return hasNulls
    ? Object.fromEntries(entries.filter(([, value]) => value !== null))
    : (stored as Record<string, unknown>);
}
