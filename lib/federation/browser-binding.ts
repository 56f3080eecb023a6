import type { CookieOptions, Request, Response } from 'express';

import type { Authenticator } from '../tokens/keys';

/**
 * Ties something that leaves the browser, and comes back, to that browser: by a cookie that nobody else can make. What comes
 * back elsewhere was sent there by somebody (login CSRF, RFC 9700 §4.7).
 */
export interface BrowserBinding {
  /** `lifetime` in seconds; `crossSite` for what comes back as a form that another site posts. */
  bind(req: Request, res: Response, id: string, options: { lifetime: number; crossSite: boolean }): void;
  isBound(req: Request, id: string): boolean;
  release(res: Response, id: string): void;
}

const ID = /^[\w-]{43}$/;
/** Cookies are sent with every request of the host: short, and not many. */
const NAME_LENGTH = 8;
const MAC_LENGTH = 16;
const MAXIMUM_COOKIES = 10;

export function browserBinding(macs: Authenticator, { https }: { https: boolean }): BrowserBinding {
  // A __Host- cookie cannot come from a subdomain. Without https, in development, there is no such thing.
  const prefix = `${https ? '__Host-' : ''}oauth-`;
  const nameOf = (id: string): string => prefix + id.slice(0, NAME_LENGTH);
  const macOf = (id: string): Buffer => macs.sign(Buffer.from(id)).subarray(0, MAC_LENGTH);
  const options = ({ crossSite }: { crossSite: boolean }): CookieOptions => ({
    path: '/',
    httpOnly: true,
    sameSite: crossSite ? 'none' : 'lax',
    secure: https || crossSite,
  });

  return {
    bind: (req, res, id, { lifetime, crossSite }) => {
      // Browsers send the oldest first (RFC 6265 §5.4).
      const old = cookiesOf(req).filter(([name]) => name.startsWith(prefix));
      for (const [name] of old.slice(0, -MAXIMUM_COOKIES)) res.clearCookie(name, options({ crossSite }));
      const value = macOf(id).toString('base64url');
      res.cookie(nameOf(id), value, { ...options({ crossSite }), maxAge: lifetime * 1000 });
    },
    isBound: (req, id) => {
      const own = cookiesOf(req).filter(([name]) => name === nameOf(id));
      return (
        ID.test(id) &&
        own.some(([, value]) => macs.verify(Buffer.from(id), Buffer.from(value, 'base64url'), MAC_LENGTH))
      );
    },
    release: (res, id) => res.clearCookie(nameOf(id), options({ crossSite: https })),
  };
}

function cookiesOf(req: Request): [name: string, value: string][] {
  return (req.headers.cookie ?? '').split(';').map((cookie) => {
    const [name = '', value = ''] = cookie.trim().split('=', 2);
    return [name, value];
  });
}
