import type { Request } from 'express';

/**
 * The URL of a request as its client called it: an origin that is known, and the path, without the query. What a client says
 * of the origin, in `Host` or `X-Forwarded-*`, would make a proof for another server good here.
 */
export function requestUrl(base: string): (req: Request) => string {
  const { origin } = new URL(base);
  return ({ originalUrl }) => {
    // RFC 9112 §3.2.2: a request may name the whole URL, of which only the path is taken.
    const target = URL.canParse(originalUrl) ? new URL(originalUrl).pathname : originalUrl;
    return origin + (target.split('?', 1)[0] ?? '');
  };
}

/**
 * For a resource server apart from its issuer: its own origin is that of its audience, if that is a URL. With an issuer on
 * loopback, which is nobody's but the developer's, any loopback `Host` will do.
 */
export function verifierUrl({
  issuer,
  audience,
}: {
  issuer: string;
  audience: string;
}): (req: Request) => string {
  const known = requestUrl(/^https?:\/\//.test(audience) && URL.canParse(audience) ? audience : issuer);
  const isDevelopment = LOOPBACK.test(new URL(issuer).host);
  return (req) => {
    const { host = '' } = req.headers;
    return isDevelopment && LOOPBACK.test(host) ? requestUrl(`http://${host}`)(req) : known(req);
  };
}

const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;
