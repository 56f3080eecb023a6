import type { NextFunction, Request, RequestHandler, Response } from 'express';
import Joi from 'joi';

import { isScope, scopeValues } from '../clients/client';
import { asOAuthError, OAuthConfigurationError, OAuthError } from '../errors';
import type { EventReporter } from '../events';
import { sendError } from '../http/endpoint';
import { noStore } from '../http/redirect';
import { audiences, grantIdOf, type AccessTokenClaims, type AccessTokens } from '../tokens/access-token';

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

/** Protects a route with an access token of this server (RFC 6750 §2.1). @throws OAuthConfigurationError for wrong options */
export type RequireToken = (options?: RequireTokenOptions) => RequestHandler;

interface RequireTokenDependencies {
  accessTokens: AccessTokens;
  /** Whether the store still knows the token as good. */
  status: (claims: AccessTokenClaims) => Promise<boolean>;
  defaultAudience: string;
  clock: () => number;
  reporter: EventReporter;
}

const TOKEN = /^bearer +([\w.~+/-]+=*) *$/i;

export function requireTokenFactory(dependencies: RequireTokenDependencies): RequireToken {
  const { accessTokens, status, defaultAudience, clock, reporter } = dependencies;

  return (options = {}) => {
    const { error } = schema.validate(options, { abortEarly: false, convert: false });
    if (error)
      throw new OAuthConfigurationError(
        error.details.map(({ message }) => message),
        'requireToken()',
      );
    const { scope = [], audience = defaultAudience, checkRevocation = false } = options;
    const needed = typeof scope === 'string' ? scopeValues(scope) : scope;

    async function authorize(authorization: string): Promise<AccessTokenInfo> {
      const claims = accessTokens.read(TOKEN.exec(authorization)?.[1] ?? '');
      if (!claims) throw invalidToken('malformed or not ours');
      if (clock() >= claims.exp * 1000) throw invalidToken('expired');
      if (!audiences(claims).includes(audience)) throw invalidToken('for another audience');
      if (checkRevocation && !(await status(claims))) throw invalidToken('revoked');
      const granted = scopeValues(claims.scope);
      if (!needed.every((value) => granted.includes(value))) throw insufficientScope(needed);
      return accessTokenInfo(claims, granted);
    }

    async function answer(req: Request, res: Response, next: NextFunction): Promise<void> {
      const { authorization } = req.headers;
      if (!authorization || !/^bearer\b/i.test(authorization)) return challenge(res);
      try {
        req.oauth = await authorize(authorization);
      } catch (thrown) {
        const error = asOAuthError(thrown);
        reporter.refused('resource', error);
        return sendError(req, res, error);
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
function challenge(res: Response): void {
  noStore(res);
  res.setHeader('WWW-Authenticate', 'Bearer');
  res.status(401).end();
}

function invalidToken(reason: string): OAuthError {
  const description = 'The access token is malformed, expired, revoked or for another audience';
  return bearerError('invalid_token', description, { reason });
}

function insufficientScope(needed: readonly string[]): OAuthError {
  return bearerError('insufficient_scope', 'The access token has not the scope', { scope: needed.join(' ') });
}

function bearerError(
  code: string,
  description: string,
  { reason, scope }: { reason?: string; scope?: string },
): OAuthError {
  const attributes = [
    `error="${code}"`,
    `error_description="${description}"`,
    ...(scope ? [`scope="${scope}"`] : []),
  ];
  return new OAuthError(code, description, {
    challenge: `Bearer ${attributes.join(', ')}`,
    ...(reason && { reason }),
  });
}

function accessTokenInfo(claims: AccessTokenClaims, scope: readonly string[]): AccessTokenInfo {
  return {
    subject: claims.sub,
    // A user never has the id of the client that acts for it.
    userId: claims.sub === claims.client_id ? undefined : claims.sub,
    clientId: claims.client_id,
    scope,
    audience: audiences(claims),
    expiresAt: claims.exp * 1000,
    grantId: grantIdOf(claims),
    claims,
  };
}
