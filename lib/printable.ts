/** Line breaks, escape sequences, and characters that change the direction of text: they would forge or disguise what people read. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu;

/** Whether a text has no characters that must not reach a log or a page. */
export function isPrintable(text: string): boolean {
  return printable(text) === text;
}

/** Replaces the characters of a stranger's text that must not reach a log or a page. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '?');
}
