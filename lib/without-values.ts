import { printable } from './printable';

/** How many causes of an error are kept. */
const MAXIMUM_CAUSES = 4;

/** The length from which a text is not in a message by chance. */
const TELLING = 8;

/**
 * Keeps what an error says about itself. Drivers attach the command with its arguments, or the row that was refused, and query builders
 * put them into the message: these may contain the parameters of a request.
 */
export function withoutValues(thrown: unknown, texts: readonly string[], depth = 0): Error {
  const telling = texts.filter(({ length }) => length >= TELLING);
  const repeatsTexts = (message: string): boolean => telling.some((text) => message.includes(text));
  if (typeof thrown !== 'object' || thrown === null)
    return new Error(repeatsTexts(String(thrown)) ? WITHHELD : printableLines(String(thrown)));
  const { name, message, stack, code, cause } = thrown as Partial<Record<string, unknown>>;
  const tells = repeatsTexts(String(message));
  const error = new Error(
    tells ? WITHHELD : printableLines(String(message)),
    cause === undefined || depth === MAXIMUM_CAUSES
      ? undefined
      : { cause: withoutValues(cause, texts, depth + 1) },
  );
  error.name = String(name);
  if (typeof stack === 'string' && !tells && !repeatsTexts(stack)) error.stack = printableLines(stack);
  return typeof code === 'string' || typeof code === 'number' ? Object.assign(error, { code }) : error;
}

const WITHHELD = 'the message repeats what was given, and is left out';

/** A message of a driver has lines of its own. */
function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}
