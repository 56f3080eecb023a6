import { storeUnavailable } from '../errors';
import { commit, end } from '../grants/commit';
import {
  identifiersOf,
  isRefreshable,
  isVoid,
  newAttempt,
  refreshExpiryOf,
  settled,
  type Grant,
} from '../grants/grant';
import { isLeftOver } from '../grants/import-mark';
import { refreshLifetimes, sessionLifetimes } from '../grants/lifetimes';
import type { GrantContext } from '../host/grant-context';
import { required } from '../http/parameters';
import type { Policies } from '../policy/policies';
import type { Confirmation } from '../tokens/access-token';
import { refusedGrant, type GrantType, type TokenRequest } from './grant-type';
import type { TokenSet } from './issuer';
import { boundTo, isBoundTo } from './key-binding';
import type { GrantTypeOptions } from './options';
import { createPrepareTokens, readRefreshRequest, type RefreshRequest } from './refresh-request';
import { createTouch } from './refresh-without-rotation';

/** How often a request reads the record again after concurrent requests advanced it. */
const MAXIMUM_ROUNDS = 4;

/**
 * The position of a presented refresh token relative to the stored grant: the current one, the previous one within the leeway, one
 * that the store has lost, one whose code was never redeemed as far as the store knows, or one that has been replaced.
 */
type Position = 'current' | 'previous' | 'ahead' | 'unredeemed' | 'reused';

function positionOf(presented: number, grant: Grant, leeway: number, now: number): Position {
  const { generation, rotatedAt = 0 } = grant;
  if (presented === generation) return 'current';
  if (presented > generation) return generation > 0 ? 'ahead' : 'unredeemed';
  // Clocks differ by seconds: a negative age counts as 0.
  const age = Math.max(0, now - rotatedAt);
  const justRotated = presented === generation - 1 && age < leeway * 1000;
  return justRotated ? 'previous' : 'reused';
}

/** @see RFC 6749 §6, RFC 9700 §4.14 */
export function createRefreshTokenGrant(options: GrantTypeOptions): GrantType {
  const { store, grantTokens, policies, clock, reporter, keepClient, importedRefreshTokens } = options;
  const prepare = createPrepareTokens(options);
  const touch = createTouch({ ...options, prepare });

  function answer(tokens: TokenSet, { grant }: RefreshRequest, generation: number): TokenSet {
    return { ...tokens, refreshToken: grantTokens.refreshToken(grant.id, generation) };
  }

  async function respond(tokenRequest: TokenRequest): Promise<TokenSet> {
    const token = required(tokenRequest.parameters, 'refresh_token');
    const imported = tokenRequest.reference ? undefined : importedRefreshTokens;
    const request = readRefreshRequest(
      imported ? await imported.withGrant(tokenRequest, token) : tokenRequest,
    );
    const { client, context, presented, confirmation } = request;
    const leeway = policies.refreshTokenLeeway(context);
    if (await isLeftOver(store, request.grant)) {
      await end(store, reporter, request.grant, 'it had ended before');
      throw refused('its grant has ended');
    }

    let stored = request.grant;
    let prepared: TokenSet | undefined;
    for (let round = 0; round < MAXIMUM_ROUNDS; round++) {
      if (!isRefreshable(stored, client, clock())) throw refused('expired');
      // The first use of another server's token: nothing has been issued for the grant yet.
      const isFirst = isVoid(stored) && imported !== undefined;
      const position = isFirst ? 'current' : positionOf(presented, stored, leeway, clock());
      if (position === 'unredeemed') throw refused('the store lost the redemption of the code');
      if (position === 'reused') return refuseReused(request, stored, leeway);
      if (position === 'previous') {
        reporter.emit('refresh_token.repeated', eventOf(stored, presented));
        const fits = prepared && outlives(stored, prepared) ? prepared : undefined;
        const tokens = fits ?? (await prepare(request, stored, refreshExpiryOf(stored)));
        return answer(tokens, request, stored.generation);
      }
      const binding = isFirst ? (stored.confirmation ?? boundTo(client, confirmation)) : stored.confirmation;
      const isRotated = rotates(context, binding, policies);
      if (position === 'current' && !isRotated && !isFirst) {
        return answer(await touch(request, stored), request, presented);
      }

      // Everything that may fail happens before the write.
      const lifetimes = refreshLifetimes(policies, context, clock(), isFirst ? undefined : stored);
      prepared = await prepare(request, stored, lifetimes.expiresAt);
      const now = clock();
      // The hooks may have taken long.
      if (!isRefreshable(stored, client, now)) throw refused('expired');
      const generation = isRotated ? presented + 1 : presented;
      const kept = sessionLifetimes(policies, context, stored, lifetimes);
      const next = {
        ...settled(stored, now),
        ...kept,
        confirmation: binding,
        generation,
        attempt: newAttempt(),
        rotatedAt: now,
      };
      const [outcome] = await Promise.all([commit(store, stored, next), keepClient(client)]);
      if (outcome.won) {
        // A write that was late may have brought the record back.
        if (isFirst && (await isLeftOver(store, next))) throw refused('revoked meanwhile');
        if (isFirst) reporter.emit('refresh_token.imported', identifiersOf(next));
        if (position === 'ahead') reporter.emit('grant.ahead_of_store', eventOf(stored, presented));
        return answer(prepared, request, generation);
      }
      if (!outcome.stored) throw refused('revoked meanwhile');
      stored = outcome.stored;
      // Another request may have bound an imported token to its key.
      if (!isBoundTo(boundTo(client, stored.confirmation), confirmation))
        throw refused('bound to another key');
    }
    throw storeUnavailable(new Error('the grant keeps changing'));
  }

  /**
   * Refuses a reused token and ends its grant (RFC 9700 §4.14.2). If concurrent requests of the same client merely overtook this
   * request, it is refused, but the grant is kept.
   */
  async function refuseReused(request: RefreshRequest, stored: Grant, leeway: number): Promise<never> {
    const { grant, presented } = request;
    const wasCurrent = grant.generation === presented || isVoid(grant);
    if (wasCurrent && leeway > 0) throw refused('overtaken by other requests');
    reporter.emit('refresh_token.reused', eventOf(stored, presented));
    await end(store, reporter, stored, 'refresh token reused');
    throw refused('reused');
  }

  return {
    name: 'refresh_token',
    reference: (parameters) => grantTokens.readRefreshToken(parameters.get('refresh_token') ?? ''),
    respond,
  };
}

/** Whether a refresh replaces the token. One that is bound to neither a client nor a key is always replaced (RFC 9700 §2.2.2). */
function rotates(context: GrantContext, binding: Confirmation | undefined, policies: Policies): boolean {
  const { client } = context;
  // The client may have been registered for DPoP after the login.
  const isKeyBound = client.dpopBoundAccessTokens && binding?.jkt !== undefined;
  if (!client.confidential && !isKeyBound) return true;
  return (client.refreshTokenRotation ?? policies.refreshTokenRotation(context)) === 'always';
}

const refused = (reason: string): Error => refusedGrant('refresh token', reason);

function eventOf(
  grant: Grant,
  presentedGeneration: number,
): ReturnType<typeof identifiersOf> & { presentedGeneration: number; generation: number } {
  return { ...identifiersOf(grant), presentedGeneration, generation: grant.generation };
}

function outlives(grant: Grant, { expiresAt }: TokenSet): boolean {
  return refreshExpiryOf(grant) >= expiresAt;
}
