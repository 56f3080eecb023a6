import { distance } from 'fastest-levenshtein';
import type { ValidationErrorItem } from 'joi';

/** Describes what Joi found wrong. An unknown name gets the closest known one as a suggestion. */
export function describeFaults(
  details: readonly ValidationErrorItem[],
  knownNames: readonly string[],
): string[] {
  return details.map(({ type, message, path }) => {
    if (type !== 'object.unknown') return message;
    const suggestion = closestName(String(path.at(-1)), knownNames);
    const hint = suggestion === undefined ? '' : `: did you mean "${suggestion}"?`;
    return `"${path.join('.')}" is not allowed${hint}`;
  });
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

/** `client_id`, `clientId` and `clientIds` are the same words. */
function wordsOf(name: string): string {
  const words = name.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
  return words
    .split(/[^a-z0-9]+/)
    .map((word) => word.replace(/s$/, ''))
    .sort()
    .join(' ');
}
