import type { IncomingMessage } from 'node:http';

/** The scheme of an access token in the `Authorization` header. */
export type Scheme = 'Bearer' | 'DPoP';

/** An access token as a request presents it. */
export interface PresentedToken {
  readonly scheme: Scheme;
  readonly token: string;
}

const AUTHORIZATION = /^(bearer|dpop)(?: +([\w.~+/-]+=*))? *$/i;
const SCHEME = /^(bearer|dpop)\b/i;

/** Reads the `Authorization` header. Returns `undefined` for another scheme or none (RFC 6750 §2.1, RFC 9449 §7.1). */
export function presentedToken(req: Pick<IncomingMessage, 'headers'>): PresentedToken | undefined {
  const { authorization = '' } = req.headers;
  const [, scheme, token = ''] = AUTHORIZATION.exec(authorization) ?? SCHEME.exec(authorization) ?? [];
  if (scheme === undefined) return undefined;
  return { scheme: scheme.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer', token };
}
