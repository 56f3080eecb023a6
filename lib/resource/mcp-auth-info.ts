import type { IncomingMessage } from 'node:http';

import type { Request } from 'express';

import type { AccessTokenInfo } from './access-token-info';
import { presentedToken } from './presented-token';

/** The facts of an access token, in the form of the MCP SDK: its transports pass `req.auth` to the handlers of tools. */
export interface McpAuthInfo {
  /** The access token. */
  token: string;
  /** The client that the token was issued to. */
  clientId: string;
  /** The scope values. */
  scopes: string[];
  /** The expiry. Epoch seconds. */
  expiresAt: number;
  /** The resource that the token was required for, if it is a URL. */
  resource?: URL;
  /** `subject`, `userId` and `grantId` of the token. */
  extra: Record<string, unknown>;
}

/**
 * Returns the facts of a request's access token, behind `requireToken`, for the MCP SDK: `req.auth = mcpAuthInfo(req)`. `resource` is the
 * first of the token's audiences that is a URL.
 */
export function mcpAuthInfo(req: IncomingMessage & Pick<Request, 'oauth'>): McpAuthInfo {
  const { oauth } = req;
  const audience = oauth.audience.find((name) => URL.canParse(name));
  return authInfo(presentedToken(req)?.token ?? '', oauth, audience);
}

/** Brings the facts of a token into the form of the MCP SDK. */
export function authInfo(token: string, info: AccessTokenInfo, audience: string | undefined): McpAuthInfo {
  const { clientId, scope, expiresAt, subject, userId, grantId } = info;
  return {
    token,
    clientId,
    scopes: [...scope],
    expiresAt: Math.floor(expiresAt / 1000),
    ...(audience !== undefined && URL.canParse(audience) && { resource: new URL(audience) }),
    extra: { subject, userId, grantId },
  };
}
