import type { NextFunction, Request, RequestHandler, Response } from 'express';
import Joi from 'joi';

import { isScope, scopeValues } from '../clients/client';
import { asOAuthError, OAuthConfigurationError } from '../errors';
import type { EndpointFrame } from '../http/endpoint';
import { noStore } from '../http/redirect';
import { audiences, grantIdOf, type AccessTokenClaims } from '../tokens/access-token';
import { presentedToken, type IsLive, type TokenCheck } from './token-check';

/** What `requireToken` found in an access token: `req.oauth`. */
export interface AccessTokenInfo {
  /** `sub`: the user, or the client where it acts for itself. */
  readonly subject: string;
  /** The user, or `undefined` where a client acts for itself. */
  readonly userId: string | undefined;
  readonly clientId: string;
  readonly scope: readonly string[];
  readonly audience: readonly string[];
  /** Epoch milliseconds. */
  readonly expiresAt: number;
  /** The grant that the token hangs on, if it has one. */
  readonly grantId: string | undefined;
  /** All claims of the token, frozen. */
  readonly claims: AccessTokenClaims;
}

declare global {
  namespace Express {
    interface Request {
      /** Set by `oauth.requireToken()`: only handlers behind it may read it. */
      oauth: AccessTokenInfo;
    }
  }
}

export interface RequireTokenOptions {
  /** What the token must be good for, separated by spaces or as a list: all of it. @defaultValue none */
  scope?: string | readonly string[];
  /** The audience that must be among the token's. @defaultValue the router's default audience */
  audience?: string;
  /** Also ask the store whether the token was revoked: one round trip. @defaultValue `false` */
  checkRevocation?: boolean;
}

const scopeText = Joi.string().custom((value: string, { error }) =>
  isScope(value) ? value : error('any.invalid'),
);
const schema = Joi.object({
  scope: Joi.alternatives(scopeText, Joi.array().items(scopeText)),
  audience: Joi.string(),
  checkRevocation: Joi.boolean(),
}).label('options');

/** Protects a route with an access token (RFC 6750 §2.1, RFC 9449 §7, RFC 8705 §3). @throws OAuthConfigurationError for wrong options */
export type RequireToken = (options?: RequireTokenOptions) => RequestHandler;

export function requireTokenFactory(options: {
  check: TokenCheck;
  defaultAudience: string;
  /** Without it `checkRevocation` cannot be asked for. */
  isLive: IsLive | undefined;
  frame: Pick<EndpointFrame, 'reporter' | 'sendError'>;
}): RequireToken {
  const { check, defaultAudience, isLive, frame } = options;

  return (given = {}) => {
    const { error } = schema.validate(given, { abortEarly: false, convert: false });
    if (error)
      throw new OAuthConfigurationError(
        error.details.map(({ message }) => message),
        'requireToken()',
      );
    const { scope = [], audience = defaultAudience, checkRevocation = false } = given;
    if (checkRevocation && !isLive) {
      throw new OAuthConfigurationError(['"checkRevocation" needs "introspection"'], 'requireToken()');
    }
    const needed = typeof scope === 'string' ? scopeValues(scope) : scope;
    const demand = { scope: needed, audience, isLive: checkRevocation ? isLive : undefined };

    async function answer(req: Request, res: Response, next: NextFunction): Promise<void> {
      const presented = presentedToken(req);
      if (!presented) return challenge(res);
      try {
        req.oauth = accessTokenInfo(await check(req, res, presented, demand));
      } catch (thrown) {
        const refusal = asOAuthError(thrown);
        frame.reporter.refused('resource', refusal);
        return frame.sendError(req, res, refusal);
      }
      next();
    }

    return function requireToken(req, res, next) {
      // What follows next() is the host's, in its own turn: an error there is none of ours.
      answer(req, res, next).catch(next);
    };
  };
}

/** RFC 6750 §3.1: no error code where no token was sent. */
export function challenge(res: Response): void {
  noStore(res);
  res.setHeader('WWW-Authenticate', 'Bearer');
  res.status(401).end();
}

function accessTokenInfo(claims: AccessTokenClaims): AccessTokenInfo {
  return {
    subject: claims.sub,
    // A user never has the id of the client that acts for it.
    userId: claims.sub === claims.client_id ? undefined : claims.sub,
    clientId: claims.client_id,
    scope: scopeValues(claims.scope),
    audience: audiences(claims),
    expiresAt: claims.exp * 1000,
    grantId: grantIdOf(claims),
    claims,
  };
}
