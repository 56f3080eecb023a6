import type { IncomingMessage } from 'node:http';

import type { Request } from 'express';

import { isLoopbackUrl } from '../http/loopback';

/**
 * Returns the URL of a request as its client called it: a known origin, and the path without the query. `Host` and `X-Forwarded-*`
 * are not trusted, because they would make a proof for another server valid here.
 */
export function createRequestUrl(base: string): (req: Request | IncomingMessage) => string {
  const { origin } = new URL(base);
  return (req) => {
    // Express removes the mount path from `url`.
    const originalUrl = 'originalUrl' in req ? req.originalUrl : (req.url ?? '');
    // RFC 9112 §3.2.2: a request may contain the whole URL, of which only the path is used.
    const target = URL.canParse(originalUrl) ? new URL(originalUrl).pathname : originalUrl;
    return origin + (target.split('?', 1)[0] ?? '');
  };
}

/**
 * Returns the URL of a request to a resource server that is not the issuer. Its origin is the audience's, if the audience is a
 * URL. With an issuer on loopback, which only a developer has, any loopback `Host` is accepted.
 */
export function createVerifierUrl({
  issuer,
  audience,
}: {
  issuer: string;
  audience: string;
}): (req: Request | IncomingMessage) => string {
  const known = createRequestUrl(/^https?:\/\//.test(audience) && URL.canParse(audience) ? audience : issuer);
  const isDevelopment = isLoopbackUrl(issuer);
  return (req) => {
    const { host = '' } = req.headers;
    const url = `http://${host}`;
    return isDevelopment && isLoopbackUrl(url) ? createRequestUrl(url)(req) : known(req);
  };
}
