import { createHash, timingSafeEqual } from 'node:crypto';

import { required, type Parameters } from '../http/parameters';
import { commit, end } from './commit';
import { invalidGrant, newAttempt, stands, subjectOf, type Grant } from './grant';
import type { GrantType, GrantTypeOptions, TokenRequest } from './grant-type';
import { refreshLifetimes } from './lifetimes';
import { narrowedResources, narrowedScope } from './narrowing';
import type { TokenSet } from './token-issuer';

/** A code that is older was perhaps found in a log: it is refused, and ends nothing. Milliseconds. */
const REPLAY_WINDOW = 600_000;
/** A page that submits twice does it at once. Milliseconds. */
const DOUBLE_SUBMIT_WINDOW = 2_000;

/** @see RFC 6749 §4.1.3, RFC 7636 §4.6 */
export function authorizationCodeGrant(options: GrantTypeOptions): GrantType {
  const { store, grantTokens, issue, audiences, policies, clock, reporter } = options;

  async function respond({ client, parameters, grant }: TokenRequest): Promise<TokenSet> {
    required(parameters, 'code');
    if (!grant) throw invalidGrant('authorization code', 'unknown');
    if (grant.clientId !== client.clientId)
      throw invalidGrant('authorization code', 'issued to another client');
    if (grant.generation > 0) return refuseSpent(grant, parameters);
    if (!stands(grant, client, clock())) throw invalidGrant('authorization code', 'expired');
    const mismatch = bindingFault(grant, parameters);
    if (mismatch) {
      await end(store, reporter, grant, mismatch);
      throw invalidGrant('authorization code', mismatch);
    }

    const context = {
      client,
      grantType: 'authorization_code',
      userId: grant.userId,
      // What the client may not have any more is not given (its registration may have changed since).
      scope: narrowedScope(
        parameters.get('scope'),
        grant.scope.filter((value) => client.scope.includes(value)),
      ),
      resources: narrowedResources(
        parameters.resource,
        grant.resources.filter((resource) => audiences.all.includes(resource)),
      ),
    };
    const withRefreshToken = client.grantTypes.includes('refresh_token');
    const lifetimes = withRefreshToken ? refreshLifetimes(policies, context, clock()) : undefined;
    const { authTime, id: grantId } = grant;
    const issued = await issue({ context, authTime, grantId, notAfter: lifetimes?.expiresAt });
    const next: Grant = {
      ...grant,
      // Without a refresh token the record lives as long as the access token, which is good only while it is there.
      ...(lifetimes ?? { expiresAt: issued.expiresAt }),
      generation: 1,
      attempt: newAttempt(),
      redeemedAt: clock(),
    };

    // The hooks may have taken their time.
    if (!stands(grant, client, clock())) throw invalidGrant('authorization code', 'expired');
    const outcome = await commit(store, grant, next);
    if (outcome.won) {
      const refreshToken = withRefreshToken ? grantTokens.refreshToken(grantId, next.generation) : undefined;
      return { ...issued, context, grantId, refreshToken };
    }
    if (!outcome.stored) throw invalidGrant('authorization code', 'revoked meanwhile');
    return refuseSpent(outcome.stored, parameters);
  }

  /** RFC 6749 §4.1.2: a code that is used twice ends what was issued for it. */
  async function refuseSpent(grant: Grant, parameters: Parameters): Promise<never> {
    const now = clock();
    const doubleSubmit =
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
function bindingFault(grant: Grant, parameters: Parameters): string | undefined {
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
  return undefined;
}

/** RFC 7636 §4.1 and §4.6 */
function verifierMatches(challenge: string, verifier: string | undefined): boolean {
  if (verifier === undefined || !/^[\w.~-]{43,128}$/.test(verifier)) return false;
  const actual = createHash('sha256').update(verifier).digest();
  const expected = Buffer.from(challenge, 'base64url');
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}
