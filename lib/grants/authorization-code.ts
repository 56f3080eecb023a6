import { createHash, timingSafeEqual } from 'node:crypto';

import type { Client } from '../clients/client';
import { required, type Parameters } from '../http/parameters';
import type { Confirmation } from '../tokens/access-token';
import { boundTo } from './binding';
import { commit, end } from './commit';
import { authenticationIn, claimsIn, invalidGrant, newAttempt, stands, subjectOf, type Grant } from './grant';
import type { GrantType, GrantTypeOptions, TokenRequest } from './grant-type';
import { refreshLifetimes, sessionLifetimes } from './lifetimes';
import type { TokenSet } from './token-issuer';

/** A code that is older was perhaps found in a log: it is refused, and ends nothing. Milliseconds. */
const REPLAY_WINDOW = 600_000;
/** A page that submits twice does it at once. Milliseconds. */
const DOUBLE_SUBMIT_WINDOW = 2_000;

/** @see RFC 6749 §4.1.3, RFC 7636 §4.6 */
export function authorizationCodeGrant(options: GrantTypeOptions): GrantType {
  const { store, grantTokens, issue, audiences, policies, clock, reporter } = options;
  const { anonymousSubject } = options;

  async function respond({ client, parameters, grant, confirmation, req }: TokenRequest): Promise<TokenSet> {
    required(parameters, 'code');
    if (!grant) throw invalidGrant('authorization code', 'unknown');
    if (grant.clientId !== client.clientId)
      throw invalidGrant('authorization code', 'issued to another client');
    if (grant.generation > 0) return refuseSpent(grant, client, parameters);
    if (!stands(grant, client, clock())) throw invalidGrant('authorization code', 'expired');
    const mismatch = bindingFault(grant, parameters, confirmation);
    if (mismatch) {
      await end(store, reporter, grant, mismatch);
      throw invalidGrant('authorization code', mismatch);
    }

    // What the client may not have any more is not given (its registration may have changed since).
    const granted = grant.scope.filter((value) => client.scope.includes(value));
    const resources = audiences.narrowed(parameters, client, grant.resources);
    const scope = audiences.scope(parameters.get('scope'), granted, resources);
    audiences.refuseMultiple(resources);
    // Last of what can be refused.
    const userId = grant.userId ?? (await anonymousSubject(req, { client, grantId: grant.id }));
    const context = { client, grantType: 'authorization_code', userId, scope, resources };
    const withRefreshToken = policies.refreshTokens({ ...context, scope: granted });
    const lifetimes = withRefreshToken ? refreshLifetimes(policies, context, clock()) : undefined;
    const { id: grantId, nonce } = grant;
    const issued = await issue({
      context,
      authentication: authenticationIn(grant),
      confirmation,
      federation: grant.federation,
      grantId,
      notAfter: lifetimes?.expiresAt,
      idToken: granted.includes('openid') ? { nonce, claims: claimsIn(grant, client).idToken } : undefined,
    });
    const next: Grant = {
      ...grant,
      // Without a refresh token the record lives as long as the access token, which is good only while it is there.
      ...sessionLifetimes(policies, context, grant, lifetimes ?? { expiresAt: issued.expiresAt }),
      userId: context.userId,
      generation: 1,
      attempt: newAttempt(),
      redeemedAt: clock(),
      confirmation: boundTo(client, confirmation),
    };

    // The hooks may have taken their time.
    if (!stands(grant, client, clock())) throw invalidGrant('authorization code', 'expired');
    const outcome = await commit(store, grant, next);
    if (outcome.won) {
      const refreshToken = withRefreshToken ? grantTokens.refreshToken(grantId, next.generation) : undefined;
      return { ...issued, context, grantId, refreshToken };
    }
    if (!outcome.stored) throw invalidGrant('authorization code', 'revoked meanwhile');
    return refuseSpent(outcome.stored, client, parameters);
  }

  /** RFC 6749 §4.1.2: a code that is used twice ends what was issued for it. */
  async function refuseSpent(grant: Grant, client: Client, parameters: Parameters): Promise<never> {
    const now = clock();
    const doubleSubmit =
      !client.fapi &&
      grant.codeChallenge !== undefined &&
      now - (grant.redeemedAt ?? 0) < DOUBLE_SUBMIT_WINDOW &&
      verifierMatches(grant.codeChallenge, parameters.get('code_verifier'));
    const revoked = !doubleSubmit && now - grant.createdAt < REPLAY_WINDOW;
    reporter.emit('authorization_code.replayed', { ...subjectOf(grant), revoked });
    if (revoked) await end(store, reporter, grant, 'authorization code replayed');
    throw invalidGrant('authorization code', 'spent');
  }

  return {
    name: 'authorization_code',
    reference: (parameters) => grantTokens.readCode(parameters.get('code') ?? ''),
    respond,
  };
}

/** What of the request does not go with the code, or `undefined`. */
function bindingFault(
  grant: Grant,
  parameters: Parameters,
  confirmation: Confirmation | undefined,
): string | undefined {
  const verifier = parameters.get('code_verifier');
  const redirectUri = parameters.get('redirect_uri');
  if (grant.codeChallenge === undefined) {
    // RFC 9700 §4.8.2: a verifier without a challenge is a downgrade.
    if (verifier !== undefined) return 'code_verifier without a challenge';
  } else if (!verifierMatches(grant.codeChallenge, verifier)) {
    return verifier === undefined ? 'code_verifier missing' : 'code_verifier wrong';
  }
  if (redirectUri === undefined ? grant.redirectUriGiven : redirectUri !== grant.redirectUri)
    return 'redirect_uri wrong';
  // RFC 9449 §10
  if (grant.dpopJkt !== undefined && grant.dpopJkt !== confirmation?.jkt) return 'DPoP key wrong';
  return undefined;
}

/** RFC 7636 §4.1 and §4.6 */
function verifierMatches(challenge: string, verifier: string | undefined): boolean {
  if (verifier === undefined || !/^[\w.~-]{43,128}$/.test(verifier)) return false;
  const actual = createHash('sha256').update(verifier).digest();
  const expected = Buffer.from(challenge, 'base64url');
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}
