import { mayHaveScope, type Client } from '../clients/client';
import { hasSha256 } from '../digest';
import { commit, end } from '../grants/commit';
import {
  authenticationIn,
  claimsIn,
  identifiersOf,
  isActive,
  newAttempt,
  redeemed,
  REPLAY_WINDOW,
  type Grant,
} from '../grants/grant';
import { refreshLifetimes, sessionLifetimes } from '../grants/lifetimes';
import { required, type Parameters } from '../http/parameters';
import type { Confirmation } from '../tokens/access-token';
import { refusedGrant, type GrantType, type TokenRequest } from './grant-type';
import type { TokenSet } from './issuer';
import { boundTo } from './key-binding';
import type { GrantTypeOptions } from './options';

/** A page that submits twice does so at once. Milliseconds. */
const DOUBLE_SUBMIT_WINDOW = 2_000;

/** @see RFC 6749 §4.1.3, RFC 7636 §4.6 */
export function createAuthorizationCodeGrant(options: GrantTypeOptions): GrantType {
  const { store, grantTokens, issue, audiences, policies, clock, reporter, anonymousSubjects, keepClient } =
    options;

  async function respond(request: TokenRequest): Promise<TokenSet> {
    const { client, parameters, grant, confirmation, req } = request;
    required(parameters, 'code');
    if (!grant) throw refused('unknown');
    if (grant.clientId !== client.clientId) throw refused('issued to another client');
    if (grant.generation > 0) return refuseSpent(grant, client, parameters);
    if (!isActive(grant, client, clock())) throw refused('expired');
    const mismatch = bindingFault(grant, parameters, confirmation);
    if (mismatch) {
      await end(store, reporter, grant, mismatch);
      throw refused(mismatch);
    }

    // The client's registration may have changed since the code was issued.
    const granted = grant.scope.filter((value) => mayHaveScope(client, value));
    const resources = audiences.narrowed(parameters, client, grant.resources);
    const scope = audiences.scope(parameters.get('scope'), granted, resources);
    audiences.refuseMultiple(resources);
    // Called after the checks of the request, because it may create a user.
    const userId = grant.userId ?? (await anonymousSubjects(req, { client, grantId: grant.id }));
    const context = { client, grantType: 'authorization_code', userId, scope, resources };
    const hasRefreshToken = policies.issuesRefreshToken({ ...context, scope: granted });
    const lifetimes = hasRefreshToken ? refreshLifetimes(policies, context, clock()) : undefined;
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
      ...redeemed(grant),
      // Without a refresh token, the record lives as long as the access token, which is active only while the record exists.
      ...sessionLifetimes(policies, context, grant, lifetimes ?? { expiresAt: issued.expiresAt }),
      userId,
      generation: 1,
      attempt: newAttempt(),
      redeemedAt: clock(),
      confirmation: boundTo(client, confirmation),
    };

    // The hooks may have taken long.
    if (!isActive(grant, client, clock())) throw refused('expired');
    const [outcome] = await Promise.all([commit(store, grant, next), keepClient(client)]);
    if (!outcome.won) {
      if (!outcome.stored) throw refused('revoked meanwhile');
      return refuseSpent(outcome.stored, client, parameters);
    }
    const refreshToken = hasRefreshToken ? grantTokens.refreshToken(grantId, next.generation) : undefined;
    return { ...issued, refreshToken };
  }

  /** Refuses a spent code: its second use ends the tokens that were issued for it (RFC 6749 §4.1.2). */
  async function refuseSpent(grant: Grant, client: Client, parameters: Parameters): Promise<never> {
    const now = clock();
    const isDoubleSubmit =
      !client.fapi &&
      grant.codeChallenge !== undefined &&
      now - (grant.redeemedAt ?? 0) < DOUBLE_SUBMIT_WINDOW &&
      verifierMatches(grant.codeChallenge, parameters.get('code_verifier'));
    const revoked = !isDoubleSubmit && now - grant.createdAt < REPLAY_WINDOW;
    reporter.emit('authorization_code.replayed', { ...identifiersOf(grant), revoked });
    if (revoked) await end(store, reporter, grant, 'authorization code replayed');
    throw refused('spent');
  }

  return {
    name: 'authorization_code',
    reference: (parameters) => grantTokens.readCode(parameters.get('code') ?? ''),
    respond,
  };
}

const refused = (reason: string): Error => refusedGrant('authorization code', reason);

/** Returns the mismatch between a request and the code, or `undefined`. */
function bindingFault(
  grant: Grant,
  parameters: Parameters,
  confirmation: Confirmation | undefined,
): string | undefined {
  const verifier = parameters.get('code_verifier');
  const redirectUri = parameters.get('redirect_uri');
  if (grant.codeChallenge === undefined) {
    // RFC 9700 §4.8.2: a verifier without a challenge is a downgrade attack.
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
  return hasSha256(verifier, challenge);
}
