import type { CookieOptions, Request, Response } from 'express';

import type { Authenticator } from '../tokens/keys';

/**
 * Ties something that leaves the browser, and comes back, to that browser: by a cookie that nobody else can make, whose name
 * says what it is for. What comes back elsewhere was sent there by somebody (login CSRF, RFC 9700 §4.7).
 */
export interface BrowserBinding {
  /** `lifetime` in seconds; `crossSite` for what comes back as a form that another site posts. */
  bind(res: Response, id: string, options: { lifetime: number; crossSite: boolean }): void;
  isBound(req: Request, id: string): boolean;
  release(res: Response, id: string): void;
}

const ID = /^[\w-]{43}$/;

export function browserBinding(macs: Authenticator, { https }: { https: boolean }): BrowserBinding {
  // A __Host- cookie cannot come from a subdomain. Without https, in development, there is no such thing.
  const nameOf = (id: string): string => `${https ? '__Host-' : ''}oauth-${id}`;
  const options = ({ crossSite }: { crossSite: boolean }): CookieOptions => ({
    path: '/',
    httpOnly: true,
    sameSite: crossSite ? 'none' : 'lax',
    secure: https || crossSite,
  });

  return {
    bind: (res, id, { lifetime, crossSite }) => {
      const mac = macs.sign(Buffer.from(id)).toString('base64url');
      res.cookie(nameOf(id), mac, { ...options({ crossSite }), maxAge: lifetime * 1000 });
    },
    isBound: (req, id) => {
      const start = `${nameOf(id)}=`;
      const cookies = req.headers.cookie?.split(';').map((cookie) => cookie.trim()) ?? [];
      const value = cookies.find((cookie) => cookie.startsWith(start))?.slice(start.length);
      return (
        ID.test(id) && value !== undefined && macs.verify(Buffer.from(id), Buffer.from(value, 'base64url'))
      );
    },
    release: (res, id) => res.clearCookie(nameOf(id), options({ crossSite: https })),
  };
}
