import type { Response } from 'express';

/** Appends parameters, and keeps what is there byte for byte: a parser would normalise a registered URI's query. */
export function withParameters(
  uri: string,
  parameters: Readonly<Record<string, string | undefined>>,
): string {
  const given = Object.entries(parameters).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  if (given.length === 0) return uri;
  const separator = !uri.includes('?') ? '?' : /[?&]$/.test(uri) ? '' : '&';
  return uri + separator + new URLSearchParams(given).toString();
}

/**
 * 302 after GET; 303 after POST, so that the browser does not post the form on (RFC 9700 §4.12), and wherever what the browser
 * sent is over.
 */
export function redirect(res: Response, location: string, { seeOther = false } = {}): void {
  res.statusCode = seeOther || res.req.method === 'POST' ? 303 : 302;
  // res.redirect() would encode the location anew and render a body with it.
  res.setHeader('Location', location);
  res.setHeader('Referrer-Policy', 'no-referrer');
  // It would cut a popup off from the app that opened it.
  res.removeHeader('Cross-Origin-Opener-Policy');
  noStore(res);
  res.end();
}

/** RFC 6749 §5.1. */
export function noStore(res: Response): void {
  res.setHeader('Cache-Control', 'no-store');
  res.setHeader('Pragma', 'no-cache');
}
