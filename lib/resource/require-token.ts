import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Request, Response } from 'express';

import { asOAuthError } from '../errors';
import type { EndpointFrame } from '../http/endpoint';
import { accessTokenInfo, type AccessTokenInfo } from './access-token-info';
import { sendChallenge } from './challenge';
import { presentedToken } from './presented-token';
import { requirementsSchema, type ReadRequirements, type RequireTokenOptions } from './requirements';
import type { TokenCheck } from './token-check';

declare global {
  namespace Express {
    /** Express's request, with the facts of the access token. */
    interface Request {
      /** The access token of the request. It is set by `oauth.requireToken()`, and only handlers behind that may read it. */
      oauth: AccessTokenInfo;
    }
  }
}

/** A middleware for Express, and for any other framework that calls functions with Node's request and response. */
export type TokenMiddleware = (
  req: IncomingMessage,
  res: ServerResponse,
  next: (error?: unknown) => void,
) => void;

/**
 * Creates a middleware that protects a route with an access token (RFC 6750 §2.1, RFC 9449 §7, RFC 8705 §3). Its challenges name the
 * metadata of the resource, the needed scope and the needed sign-in (RFC 9728 §5.1, RFC 9470 §3).
 *
 * @throws OAuthConfigurationError for invalid options
 */
export type RequireToken = (options?: RequireTokenOptions) => TokenMiddleware;

export function createRequireToken(options: {
  check: TokenCheck;
  readRequirements: ReadRequirements;
  frame: Pick<EndpointFrame, 'reporter' | 'sendError'>;
}): RequireToken {
  const { check, readRequirements, frame } = options;

  return (given = {}) => {
    const requirements = readRequirements('requireToken()', given, requirementsSchema);

    async function answer(req: IncomingMessage, res: ServerResponse, next: () => void): Promise<void> {
      const presented = presentedToken(req);
      if (!presented) return sendChallenge(res, requirements);
      try {
        const { claims } = await check.ofRequest(req, res, presented, requirements);
        (req as Request).oauth = accessTokenInfo(claims);
      } catch (thrown) {
        const refusal = asOAuthError(thrown);
        frame.reporter.refused('resource', refusal);
        return frame.sendError(req as Request, res as Response, refusal);
      }
      next();
    }

    return function requireToken(req, res, next) {
      // An exception in the handlers after next() is the host's own.
      answer(req, res, next).catch(next);
    };
  };
}
