import type { ServerResponse } from 'node:http';

import type { Response } from 'express';

/** Appends parameters to a URI and keeps its own query byte for byte, which a parser would normalize. */
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
 * Redirects with 302 after GET and 303 after POST, so that the browser does not forward the form (RFC 9700 §4.12). `seeOther`
 * redirects with 303 in any case.
 */
export function redirect(res: Response, location: string, { seeOther = false } = {}): void {
  res.statusCode = seeOther || res.req.method === 'POST' ? 303 : 302;
  // res.redirect() would encode the location again and send a body.
  res.setHeader('Location', location);
  res.setHeader('Referrer-Policy', 'no-referrer');
  // This header would separate a popup from the app that opened it.
  res.removeHeader('Cross-Origin-Opener-Policy');
  noStore(res);
  res.end();
}

/** Forbids caching (RFC 6749 §5.1). */
export function noStore(res: ServerResponse): void {
  res.setHeader('Cache-Control', 'no-store');
  res.setHeader('Pragma', 'no-cache');
}
