import { storeUnavailable } from '../errors';
import { commit, end } from '../grants/commit';
import { identifiersOf, isRefreshable, newAttempt, refreshExpiryOf, type Grant } from '../grants/grant';
import { refreshLifetimes, sessionLifetimes } from '../grants/lifetimes';
import type { GrantContext } from '../host/grant-context';
import { required } from '../http/parameters';
import { refusedGrant, type GrantType, type TokenRequest, type TokenSet } from './grant-type';
import type { ImportedRefreshToken, ImportedRefreshTokens } from './imported-refresh-token';
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

  async function respond(request: TokenRequest): Promise<TokenSet> {
    const token = required(request.parameters, 'refresh_token');
    if (request.reference || !importedRefreshTokens) return refresh(readRefreshRequest(request));
    const found = await importedRefreshTokens.find(token, request.client);
    if (!found) throw refused('unknown');
    const grant = await importedRefreshTokens.read(found);
    if (!grant) return replace(found, request, importedRefreshTokens);
    return refresh(readRefreshRequest({ ...request, reference: found.reference, grant }));
  }

  /** The first use of another server's refresh token: everything that may fail happens before its grant is there. */
  async function replace(
    token: ImportedRefreshToken,
    tokenRequest: TokenRequest,
    { create, begin }: ImportedRefreshTokens,
  ): Promise<TokenSet> {
    const imported = { ...tokenRequest, reference: token.reference };
    const grant = create(token, imported);
    const request = readRefreshRequest({ ...imported, grant });
    const { client, context, presented } = request;
    const prepared = await prepare(request, grant, refreshExpiryOf(grant));
    const [stored] = await Promise.all([begin(grant), keepClient(client)]);
    if (!stored) throw refused('revoked meanwhile');
    if (stored === grant) {
      return rotates(context) ? refresh(request, grant, prepared) : answer(prepared, request, presented);
    }
    // A parallel request was the first: for this one, the token was the current one.
    return refresh(readRefreshRequest({ ...imported, grant: { ...stored, generation: presented } }), stored);
  }

  /** `latest` is the record as it is known to be by now, and `prepared` what has been issued for it. */
  async function refresh(
    request: RefreshRequest,
    latest: Grant = request.grant,
    prepared?: TokenSet,
  ): Promise<TokenSet> {
    const { client, context, presented } = request;
    const leeway = policies.refreshTokenLeeway(context);

    let stored = latest;
    for (let round = 0; round < MAXIMUM_ROUNDS; round++) {
      if (!isRefreshable(stored, client, clock())) throw refused('expired');
      const position = positionOf(presented, stored, leeway, clock());
      if (position === 'unredeemed') throw refused('the store lost the redemption of the code');
      if (position === 'reused') return refuseReused(request, stored, leeway);
      if (position === 'previous') {
        reporter.emit('refresh_token.repeated', eventOf(stored, presented));
        const tokens = fitting(prepared, stored) ?? (await prepare(request, stored, refreshExpiryOf(stored)));
        return answer(tokens, request, stored.generation);
      }
      const isRotated = rotates(context);
      if (position === 'current' && !isRotated) {
        return answer(await touch(request, stored), request, presented);
      }

      // Everything that may fail happens before the write.
      const lifetimes = refreshLifetimes(policies, context, clock(), stored);
      prepared = fitting(prepared, stored) ?? (await prepare(request, stored, lifetimes.expiresAt));
      const now = clock();
      // The hooks may have taken long.
      if (!isRefreshable(stored, client, now)) throw refused('expired');
      const generation = isRotated ? presented + 1 : presented;
      const kept = sessionLifetimes(policies, context, stored, lifetimes);
      const next = { ...stored, ...kept, generation, attempt: newAttempt(), rotatedAt: now };
      const [outcome] = await Promise.all([commit(store, stored, next), keepClient(client)]);
      if (outcome.won) {
        if (position === 'ahead') reporter.emit('grant.ahead_of_store', eventOf(stored, presented));
        return answer(prepared, request, generation);
      }
      if (!outcome.stored) throw refused('revoked meanwhile');
      stored = outcome.stored;
    }
    throw storeUnavailable(new Error('the grant keeps changing'));
  }

  /**
   * Refuses a reused token and ends its grant (RFC 9700 §4.14.2). If concurrent requests of the same client merely overtook this
   * request, it is refused, but the grant is kept.
   */
  async function refuseReused(request: RefreshRequest, stored: Grant, leeway: number): Promise<never> {
    const { grant, presented } = request;
    const wasCurrent = grant.generation === presented;
    if (wasCurrent && leeway > 0) throw refused('overtaken by other requests');
    reporter.emit('refresh_token.reused', eventOf(stored, presented));
    await end(store, reporter, stored, 'refresh token reused');
    throw refused('reused');
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

const refused = (reason: string): Error => refusedGrant('refresh token', reason);

function eventOf(
  grant: Grant,
  presentedGeneration: number,
): ReturnType<typeof identifiersOf> & { presentedGeneration: number; generation: number } {
  return { ...identifiersOf(grant), presentedGeneration, generation: grant.generation };
}

/** Returns what was issued for an earlier record, if the later one lives as long. */
function fitting(prepared: TokenSet | undefined, stored: Grant): TokenSet | undefined {
  return prepared && refreshExpiryOf(stored) >= prepared.expiresAt ? prepared : undefined;
}
