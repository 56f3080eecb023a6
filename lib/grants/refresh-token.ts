import type { Client } from '../clients/client';
import { storeUnavailable, type OAuthError } from '../errors';
import { required } from '../http/parameters';
import { commit, end } from './commit';
import { invalidProof } from '../tokens/dpop';
import { isBoundTo } from './binding';
import {
  asGrant,
  authenticationIn,
  claimsIn,
  invalidGrant,
  newAttempt,
  refreshExpiryOf,
  stands,
  subjectOf,
  type Grant,
} from './grant';
import type { GrantType, GrantTypeOptions, TokenRequest } from './grant-type';
import { refreshLifetimes, sessionLifetimes } from './lifetimes';
import type { GrantContext } from './policy';
import type { IssuedTokens, TokenSet } from './token-issuer';

/** How often a request looks again after others overtook it. */
const MAXIMUM_ROUNDS = 4;

/**
 * Where a presented refresh token stands against the stored grant:
 * the current one, the one before it within the leeway, one that the store has lost, one whose code was never redeemed
 * as far as the store knows, or one that has been replaced.
 */
type Position = 'current' | 'previous' | 'ahead' | 'unredeemed' | 'reused';

function positionOf(presented: number, grant: Grant, leeway: number, now: number): Position {
  const { generation, rotatedAt = 0 } = grant;
  if (presented === generation) return 'current';
  if (presented > generation) return generation > 0 ? 'ahead' : 'unredeemed';
  // Clocks differ by seconds: an age below zero is none.
  const age = Math.max(0, now - rotatedAt);
  const justRotated = presented === generation - 1 && age < leeway * 1000;
  return justRotated ? 'previous' : 'reused';
}

/** @see RFC 6749 §6, RFC 9700 §4.14 */
export function refreshTokenGrant(options: GrantTypeOptions): GrantType {
  const { store, grantTokens, issue, audiences, policies, clock, reporter } = options;

  async function respond(request: TokenRequest): Promise<TokenSet> {
    const { client, parameters, reference, grant, confirmation } = request;
    required(parameters, 'refresh_token');
    if (!reference || !grant) throw invalidGrant('refresh token', 'unknown');
    if (grant.clientId !== client.clientId) throw invalidGrant('refresh token', 'issued to another client');
    if (!isBoundTo(grant.confirmation, confirmation)) {
      if (grant.confirmation?.jkt !== undefined && confirmation?.jkt === undefined)
        throw invalidProof('missing');
      throw invalidGrant('refresh token', 'bound to another key');
    }
    const presented = reference.generation;
    const context: GrantContext = {
      client,
      grantType: 'refresh_token',
      userId: grant.userId,
      scope: grant.scope.filter((value) => client.scope.includes(value)),
      resources: grant.resources,
    };
    const leeway = policies.refreshTokenLeeway(context);
    const wasCurrent = grant.generation === presented;

    // Whatever position the request is in, it is checked and signed for before it may write.
    const prepare = async (record: Grant, notAfter: number): Promise<TokenSet> => {
      const resources = audiences.narrowed(parameters, client, grant.resources);
      const narrowed: GrantContext = {
        ...context,
        scope: audiences.scope(parameters.get('scope'), context.scope, resources),
        resources,
      };
      const issued = await issue({
        context: narrowed,
        authentication: authenticationIn(record),
        confirmation,
        grantId: record.id,
        notAfter,
        // OpenID Connect Core §12.2: without a nonce, and whatever scope the access token is narrowed to.
        idToken: context.scope.includes('openid') ? { claims: claimsIn(record, client).idToken } : undefined,
      });
      return { ...issued, context: narrowed, grantId: record.id };
    };
    const answer = (tokens: TokenSet, generation: number): TokenSet => ({
      ...tokens,
      refreshToken: grantTokens.refreshToken(grant.id, generation),
    });

    let stored = grant;
    let prepared: TokenSet | undefined;
    for (let round = 0; round < MAXIMUM_ROUNDS; round++) {
      if (!isGood(stored, client, clock())) throw invalidGrant('refresh token', 'expired');
      const position = positionOf(presented, stored, leeway, clock());
      if (position === 'unredeemed')
        throw invalidGrant('refresh token', 'the store lost the redemption of the code');
      if (position === 'reused') return refuseReused(stored, presented, wasCurrent && leeway > 0);
      if (position === 'previous') {
        const fits = prepared && outlives(stored, prepared) ? prepared : undefined;
        return answer(fits ?? (await prepare(stored, refreshExpiryOf(stored))), stored.generation);
      }

      const lifetimes = refreshLifetimes(policies, context, clock(), stored);
      if (position === 'current' && !rotates(context)) {
        return answer(await refreshWithoutRotation(stored, lifetimes, context, prepare), presented);
      }
      prepared = await prepare(stored, lifetimes.expiresAt);
      const now = clock();
      // The hooks may have taken their time.
      if (!isGood(stored, client, now)) throw invalidGrant('refresh token', 'expired');
      const generation = rotates(context) ? presented + 1 : presented;
      const kept = sessionLifetimes(policies, context, stored, lifetimes);
      const next = { ...stored, ...kept, generation, attempt: newAttempt(), rotatedAt: now };
      const outcome = await commit(store, stored, next);
      if (outcome.won) {
        if (position === 'ahead') reporter.emit('grant.ahead_of_store', eventOf(stored, presented));
        return answer(prepared, generation);
      }
      if (!outcome.stored) throw invalidGrant('refresh token', 'revoked meanwhile');
      stored = outcome.stored;
    }
    throw storeUnavailable(new Error('the grant keeps changing'));
  }

  /** RFC 9700 §4.14.2. Who was merely overtaken by requests of its own client is refused, and ends nothing. */
  async function refuseReused(grant: Grant, presentedGeneration: number, overtaken: boolean): Promise<never> {
    if (overtaken) throw invalidGrant('refresh token', 'overtaken by other requests');
    reporter.emit('refresh_token.reused', eventOf(grant, presentedGeneration));
    await end(store, reporter, grant, 'refresh token reused');
    throw invalidGrant('refresh token', 'reused');
  }

  /** The refresh token stays; the idle lifetime is renewed now and then, and the request succeeds without it. */
  async function refreshWithoutRotation(
    grant: Grant,
    lifetimes: { expiresAt: number; absoluteExpiresAt: number },
    context: GrantContext,
    prepare: (record: Grant, notAfter: number) => Promise<TokenSet>,
  ): Promise<TokenSet> {
    const expiry = refreshExpiryOf(grant);
    const gained = lifetimes.expiresAt - expiry;
    const tenth = policies.refreshTokenIdleLifetime(context) * 100;
    const needed = clock() + policies.accessTokenLifetime(context) * 1000;
    if (gained <= 0 || (gained < tenth && expiry >= needed)) return prepare(grant, expiry);

    const tokens = await prepare(grant, lifetimes.expiresAt);
    const kept = sessionLifetimes(policies, context, grant, lifetimes);
    const touched: Grant = { ...grant, ...kept, attempt: newAttempt() };
    let current = grant;
    try {
      if (await store.advanceGrant(grant.id, grant.generation, touched)) return tokens;
      const stored = asGrant(await store.getGrant(grant.id), grant.id);
      if (!stored) throw invalidGrant('refresh token', 'revoked meanwhile');
      current = stored;
    } catch (thrown) {
      if (isRefusal(thrown)) throw thrown;
    }
    return outlives(current, tokens) ? tokens : prepare(current, refreshExpiryOf(current));
  }

  function rotates(context: GrantContext): boolean {
    const { client } = context;
    if (!client.confidential && !client.dpopBoundAccessTokens) return true;
    return (client.refreshTokenRotation ?? policies.refreshTokenRotation(context)) === 'always';
  }

  return {
    name: 'refresh_token',
    reference: (parameters) => grantTokens.readRefreshToken(parameters.get('refresh_token') ?? ''),
    respond,
  };
}

function eventOf(
  grant: Grant,
  presentedGeneration: number,
): ReturnType<typeof subjectOf> & { presentedGeneration: number; generation: number } {
  return { ...subjectOf(grant), presentedGeneration, generation: grant.generation };
}

function isGood(grant: Grant, client: Client, now: number): boolean {
  return stands(grant, client, now) && now < refreshExpiryOf(grant);
}

function outlives(grant: Grant, { expiresAt }: IssuedTokens): boolean {
  return refreshExpiryOf(grant) >= expiresAt;
}

function isRefusal(thrown: unknown): thrown is OAuthError {
  return (thrown as Partial<OAuthError>).code === 'invalid_grant';
}
