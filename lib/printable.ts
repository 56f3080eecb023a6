/** Line breaks, escape sequences, and characters that change the direction of text: they would forge or disguise what people read. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu;

/** Characters without a shape. A name of them would be no name, and within one they make two names that look the same. */
const INVISIBLE = /[\u00AD\u115F\u1160\u200B\u2060\u3164\uFEFF\uFFA0]/u;

/** Whether all of a text can be shown on a page, and something can. */
export function isVisible(text: string): boolean {
  return printable(text) === text && !INVISIBLE.test(text) && text.trim() !== '';
}

/** Replaces the characters of a stranger's text that must not reach a log or a page. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '?');
}
