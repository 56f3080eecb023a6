import type { NextFunction, Request, RequestHandler, Response } from 'express';
import Joi from 'joi';

import { isScope, scopeValues } from '../clients/client';
import { asOAuthError, OAuthConfigurationError } from '../errors';
import type { EndpointFrame } from '../http/endpoint';
import { noStore } from '../http/redirect';
import { audiencesOf, grantIdOf, type AccessTokenClaims } from '../tokens/access-token';
import { presentedToken, type StatusOf, type TokenCheck } from './token-check';

/** The facts of an access token, as `requireToken` sets them: `req.oauth`. */
export interface AccessTokenInfo {
  /** `sub`: the user, or the client's id where the client acts for itself. To identify a user, read `userId`. */
  readonly subject: string;
  /** The user's id, or `undefined` where a client acts for itself. */
  readonly userId: string | undefined;
  /** The client that the token was issued to. */
  readonly clientId: string;
  /** The scope values. */
  readonly scope: readonly string[];
  /** The audiences. */
  readonly audience: readonly string[];
  /** The expiry. Epoch milliseconds. */
  readonly expiresAt: number;
  /** The grant that the token belongs to, if it has one. */
  readonly grantId: string | undefined;
  /** All claims of the token, frozen. */
  readonly claims: AccessTokenClaims;
}

declare global {
  namespace Express {
    /** Express's request, with the facts of the access token. */
    interface Request {
      /** The access token of the request. It is set by `oauth.requireToken()`, and only handlers behind that may read it. */
      oauth: AccessTokenInfo;
    }
  }
}

/** The options of `requireToken`. */
export interface RequireTokenOptions {
  /** The scope values that the token must have, separated by spaces or as a list. @defaultValue none */
  scope?: string | readonly string[];
  /** The audience that must be among the token's. @defaultValue the router's default audience, or the verifier's `audience` */
  audience?: string;
  /**
   * Also asks the store, or a verifier's `introspection`, whether the token was revoked, which costs one round trip.
   * @defaultValue `false`
   */
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

/**
 * Creates a middleware that protects a route with an access token (RFC 6750 §2.1, RFC 9449 §7, RFC 8705 §3).
 *
 * @throws OAuthConfigurationError for invalid options
 */
export type RequireToken = (options?: RequireTokenOptions) => RequestHandler;

export function createRequireToken(options: {
  check: TokenCheck;
  defaultAudience: string;
  /** Without it, `checkRevocation` is refused. */
  statusOf: StatusOf<unknown> | undefined;
  frame: Pick<EndpointFrame, 'reporter' | 'sendError'>;
}): RequireToken {
  const { check, defaultAudience, statusOf, frame } = options;

  return (given = {}) => {
    const { error } = schema.validate(given, { abortEarly: false, convert: false });
    if (error)
      throw new OAuthConfigurationError(
        error.details.map(({ message }) => message),
        'requireToken()',
      );
    const { scope = [], audience = defaultAudience, checkRevocation = false } = given;
    if (checkRevocation && !statusOf) {
      throw new OAuthConfigurationError(['"checkRevocation" needs "introspection"'], 'requireToken()');
    }
    const needed = typeof scope === 'string' ? scopeValues(scope) : scope;
    const requirements = { scope: needed, audience, statusOf: checkRevocation ? statusOf : undefined };

    async function answer(req: Request, res: Response, next: NextFunction): Promise<void> {
      const presented = presentedToken(req);
      if (!presented) return sendChallenge(res);
      try {
        const { claims } = await check(req, res, presented, requirements);
        req.oauth = accessTokenInfo(claims);
      } catch (thrown) {
        const refusal = asOAuthError(thrown);
        frame.reporter.refused('resource', refusal);
        return frame.sendError(req, res, refusal);
      }
      next();
    }

    return function requireToken(req, res, next) {
      // An exception in the handlers after next() is the host's own.
      answer(req, res, next).catch(next);
    };
  };
}

/** Responds 401 without an error code, because the request has no token (RFC 6750 §3.1). */
export function sendChallenge(res: Response): void {
  noStore(res);
  res.setHeader('WWW-Authenticate', 'Bearer');
  res.status(401).end();
}

function accessTokenInfo(claims: AccessTokenClaims): AccessTokenInfo {
  return {
    subject: claims.sub,
    // No user has the id of the client.
    userId: claims.sub === claims.client_id ? undefined : claims.sub,
    clientId: claims.client_id,
    scope: scopeValues(claims.scope),
    audience: audiencesOf(claims),
    expiresAt: claims.exp * 1000,
    grantId: grantIdOf(claims),
    claims,
  };
}
