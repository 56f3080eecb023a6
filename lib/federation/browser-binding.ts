import type { CookieOptions, Request, Response } from 'express';

import type { Authenticator } from '../tokens/keys';

/**
 * Binds a sign-in to the browser that started it, with a cookie that only this server can create. A response that arrives in
 * another browser was sent there by an attacker (login CSRF, RFC 9700 §4.7).
 */
export interface BrowserBinding {
  /** Sets the cookie. `lifetime` is in seconds; `crossSite` is for a response that another site posts. */
  bind(req: Request, res: Response, id: string, options: { lifetime: number; crossSite: boolean }): void;
  isBound(req: Request, id: string): boolean;
  release(res: Response, id: string): void;
}

const ID = /^[\w-]{43}$/;
/** The cookies are sent with every request to the host: they are short, and few. */
const NAME_LENGTH = 8;
const MAC_LENGTH = 16;
const MAXIMUM_COOKIES = 10;

export function createBrowserBinding(macs: Authenticator, { https }: { https: boolean }): BrowserBinding {
  // A __Host- cookie cannot be set by a subdomain. It needs https, which development may lack.
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
      // Browsers send the oldest cookie first (RFC 6265 §5.4).
      const old = cookiesOf(req).filter(([name]) => name.startsWith(prefix));
      for (const [name] of old.slice(0, 1 - MAXIMUM_COOKIES)) res.clearCookie(name, options({ crossSite }));
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
