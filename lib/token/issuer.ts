import { randomUUID } from 'node:crypto';

import { invalidGrant } from '../errors';
import type { GrantContext } from '../host/grant-context';
import type { UserLoader } from '../host/load-user';
import { askBeforeIssueToken, extraClaims, responseMembers, type TokenHooks } from '../host/token-hooks';
import type { Audiences } from '../policy/audiences';
import type { Policies } from '../policy/policies';
import type { AccessTokenClaims, AccessTokens } from '../tokens/access-token';
import { invalidProof } from '../tokens/dpop';
import type { IdTokenIssuer } from './id-token';
import type { IssueRequest } from './issue-request';

/** The tokens of a response, and the facts about them that it needs. */
export interface TokenSet {
  readonly context: GrantContext;
  /** The grant that the tokens belong to. */
  readonly grantId: string | undefined;
  readonly accessToken: string;
  /** `'DPoP'` for a token that is bound to a key (RFC 9449 §5). */
  readonly tokenType: 'Bearer' | 'DPoP';
  readonly jti: string;
  /** Seconds from now. */
  readonly expiresIn: number;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
  readonly idToken: string | undefined;
  readonly refreshToken: string | undefined;
  /** Further members of the response. */
  readonly members: Readonly<Record<string, unknown>>;
}

/** Issues tokens, but no refresh token: loads the user, asks the hooks, signs. It writes nothing to the store. */
export type TokenIssuer = (request: IssueRequest) => Promise<TokenSet>;

interface TokenIssuerOptions<User> {
  issuer: string;
  accessTokens: AccessTokens;
  issueIdToken: IdTokenIssuer<User>;
  audiences: Audiences;
  policies: Policies;
  loadUser: UserLoader<User>;
  hooks: TokenHooks<User>;
  clock: () => number;
}

export function createTokenIssuer<User>(options: TokenIssuerOptions<User>): TokenIssuer {
  const { issuer, accessTokens, issueIdToken, audiences, policies, loadUser, hooks, clock } = options;

  return async (request) => {
    const { context, confirmation, idToken } = request;
    audiences.refuseMultiple(context.resources);
    if (audiences.requireDpop(context.resources) && confirmation?.jkt === undefined) {
      throw invalidProof('missing, but the resource requires it');
    }
    const user = await userOf(context);
    await askBeforeIssueToken(hooks.beforeIssueToken, context, user);
    const extra = await extraClaims(hooks.claims, context, user);

    const claims = accessTokenClaims(request, extra);
    const format = policies.accessTokenFormat(context);
    const accessToken = accessTokens.issue(claims, format, policies.accessTokenAlgorithms(context));
    return {
      context,
      grantId: request.grantId,
      accessToken,
      tokenType: confirmation?.jkt === undefined ? 'Bearer' : 'DPoP',
      jti: claims.jti,
      expiresIn: claims.exp - claims.iat,
      expiresAt: claims.exp * 1000,
      idToken: idToken && (await issueIdToken({ ...request, idToken, user, accessToken, iat: claims.iat })),
      refreshToken: undefined,
      members: await responseMembers(hooks.tokenResponse, context, user, request.federation),
    };
  };

  async function userOf(context: GrantContext): Promise<User | undefined> {
    const { client, userId, scope, resources, grantType } = context;
    if (userId === undefined) return undefined;
    const loaded = await loadUser(userId, { purpose: 'token', client, scope, resources, grantType });
    if (!loaded) throw invalidGrant('The user is not available', { reason: 'loadUser found no user' });
    return loaded.user;
  }

  /** @see RFC 9068 §2.2 */
  function accessTokenClaims(
    request: IssueRequest,
    extra: Readonly<Record<string, unknown>>,
  ): AccessTokenClaims {
    const { context, confirmation, grantId, notAfter, authentication = {} } = request;
    const { client, userId, scope, resources } = context;
    const { authTime, acr, amr } = authentication;
    const iat = Math.floor(clock() / 1000);
    const wanted = iat + policies.accessTokenLifetime(context);
    const exp = notAfter === undefined ? wanted : Math.min(wanted, Math.floor(notAfter / 1000));
    if (exp <= iat) throw invalidGrant('The grant is about to end', { reason: 'expired' });
    // 122 random bits from a pool: a call of randomBytes for each token would cost more than all checks together.
    const random = randomUUID();
    // Members that are undefined are not in the token.
    return {
      ...extra,
      iss: issuer,
      // The client itself, where no user is involved.
      sub: userId ?? client.clientId,
      aud: resources.length > 1 ? resources : (resources[0] ?? issuer),
      exp,
      iat,
      jti: grantId === undefined ? random : `${grantId}.${random}`,
      client_id: client.clientId,
      scope: scope.join(' '),
      auth_time: authTime,
      acr,
      amr,
      cnf: confirmation,
    };
  }
}
