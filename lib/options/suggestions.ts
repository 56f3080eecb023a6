import { distance } from 'fastest-levenshtein';
import type { ValidationErrorItem } from 'joi';

/** Describes the faults that Joi found. An unknown name gets the closest known name as a suggestion. */
export function describeFaults(
  details: readonly ValidationErrorItem[],
  namesOf: () => readonly string[],
): string[] {
  const unknown = details.filter(({ type }) => type === 'object.unknown');
  const knownNames = unknown.length > 0 ? namesOf() : [];
  const suggestions = new Map(unknown.map(({ path }) => [path.join('.'), suggestionFor(path, knownNames)]));
  const suggested = [...suggestions.values()];
  return details.flatMap(({ type, message, path }) => {
    const name = path.join('.');
    // An option whose name is misspelled is not also missing.
    if (type === 'any.required' && suggested.includes(name)) return [];
    if (type !== 'object.unknown') return message;
    const suggestion = suggestions.get(name);
    return `"${name}" is not allowed${suggestion === undefined ? '' : `: did you mean "${suggestion}"?`}`;
  });
}

/** Suggests a name for one that is unknown: first a member of the same group. */
function suggestionFor(
  path: readonly (string | number)[],
  knownNames: readonly string[],
): string | undefined {
  const name = String(path.at(-1));
  const group = `${path.slice(0, -1).join('.')}.`;
  const siblings = knownNames.filter((known) => path.length > 1 && known.startsWith(group));
  return closestName(name, siblings) ?? closestName(name, knownNames);
}

/** How much of a name may be misspelled. */
const TOLERANCE = 0.25;

/** Finds the known name that is closest to a given one, whatever its case, word order and separators are. */
export function closestName(name: string, knownNames: readonly string[]): string | undefined {
  const given = wordsOf(name);
  const candidates = knownNames.map((known) => {
    const forms = [known, known.split('.').at(-1) ?? ''].map(wordsOf);
    return { known, off: Math.min(...forms.map((form) => distance(given, form))) };
  });
  const [best] = candidates.sort((one, other) => one.off - other.off);
  return best && best.off <= Math.max(1, given.length * TOLERANCE) ? best.known : undefined;
}

/** Splits a name into sorted words: `client_id`, `clientId` and `clientIds` have the same words. */
function wordsOf(name: string): string {
  const words = name.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
  return words
    .split(/[^a-z0-9]+/)
    .map((word) => word.replace(/s$/, ''))
    .sort()
    .join(' ');
}
