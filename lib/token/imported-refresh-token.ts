import { createHash } from 'node:crypto';

import type { Store } from '../adapters/store';
import { mayHaveScope, scopeValues, type Client } from '../clients/client';
import { serverError } from '../errors';
import type { EventReporter } from '../event-reporter';
import { insertFirst } from '../grants/commit';
import { identifiersOf, type Grant } from '../grants/grant';
import { callHost, refusePromises, type Awaitable } from '../host/call';
import type { GrantContext } from '../host/grant-context';
import { authenticationOf, isUserId, userIdOf, type OAuthUser } from '../host/user';
import { isJsonObject } from '../json';
import type { Audiences } from '../policy/audiences';
import type { Policies } from '../policy/policies';
import type { GrantReference } from '../tokens/grant-token';
import type { Confirmation } from '../tokens/access-token';
import { refusedGrant, type TokenRequest } from './grant-type';
import { newRefreshableGrant } from './new-grant';

/** What stands behind a refresh token of the server that was here before. */
export interface ImportedGrant {
  /**
   * What that server stores the token under: each id is replaced once, however its token is written. For a token that is stored as it is, the
   * stored text, which a database may have found regardless of case; for a JWT, its `jti` or the like.
   */
  readonly id: string | number;
  /** The client that the token was issued to: nobody else can use it. */
  readonly clientId: string;
  /** The user who authorized the client. */
  readonly user: OAuthUser;
  /** The scope that was granted: a list, or separated by spaces. Values that the client may not have any more are left out. */
  readonly scope: string | readonly string[];
  /** The audiences. @defaultValue the default audience */
  readonly resource?: string | readonly string[] | null | undefined;
  /**
   * When the token was issued, or the user authorized the client: a later `grantsNotBefore` of the client voids it. Epoch seconds.
   * @defaultValue before any `grantsNotBefore`
   */
  readonly issuedAt?: number | null | undefined;
  /** The key or certificate that the token of a public client is bound to. @defaultValue the one that the first request proves */
  readonly confirmation?: Confirmation | null | undefined;
}

/**
 * Finds a refresh token that another server has issued, as its own database has it: valid and not expired, whether or not it has been
 * replaced here. `undefined` refuses it. It is asked about every refresh token that this server does not know, at `/token` and `/revoke`,
 * after the client has authenticated.
 */
export type ImportRefreshToken = (
  refreshToken: string,
  context: { readonly client: Client },
) => Awaitable<ImportedGrant | null | undefined>;

/** A refresh token of another server that is the client's. It stands for generation 1 of a grant whose id is derived from its own. */
export interface ImportedRefreshToken {
  readonly reference: GrantReference;
  readonly imported: ImportedGrant;
}

/**
 * The refresh tokens of another server. The first use inserts the grant that a token stands for, and from there the rules of any refresh
 * token hold, for parallel use, lost answers and reuse alike.
 *
 * A mark names the insertion that began the grant. It is written after the insertion and before anybody gets an answer, and outlives the
 * grant: one that is found beside the mark of another has begun after the end, by a request that was slow.
 */
export interface ImportedRefreshTokens {
  /** Finds a token. Returns `undefined` if it is unknown, or another client's. */
  find(refreshToken: string, client: Client): Promise<ImportedRefreshToken | undefined>;
  /** Returns the grant that a token has begun. @throws OAuthError `invalid_grant` if that has ended */
  read(token: ImportedRefreshToken): Promise<Grant | undefined>;
  /** Creates the grant of a token that is used for the first time, not yet stored. @throws OAuthError `invalid_grant` */
  create(token: ImportedRefreshToken, request: TokenRequest): Grant;
  /** Stores a new grant, unless the token has begun one already. Returns the grant that is stored, if it has not ended. */
  begin(grant: Grant): Promise<Grant | undefined>;
  /** Refuses a token from now on. */
  forget(token: ImportedRefreshToken): Promise<void>;
}

interface ImportOptions {
  issuer: string;
  store: Store;
  audiences: Audiences;
  policies: Policies;
  clock: () => number;
  reporter: Pick<EventReporter, 'emit'>;
}

/** How long the mark is kept: longer than the other server's tokens live. Seconds. */
const MARKED = 10 * 365 * 86_400;
/** RFC 6749 appendix A.17: visible ASCII characters. No server has longer ones. */
const POSSIBLE_TOKEN = /^[\x20-\x7e]{1,4096}$/;

export function createImportedRefreshTokens(
  ask: ImportRefreshToken,
  { issuer, store, audiences, policies, clock, reporter }: ImportOptions,
): ImportedRefreshTokens {
  const markOf = (grantId: string): string => `imported-refresh-token:${grantId}`;

  function referenceTo({ id }: ImportedGrant): GrantReference {
    // No secret takes part: another one must not make it another grant.
    const digest = createHash('sha256')
      .update(JSON.stringify([issuer, String(id)]))
      .digest();
    return { grantId: digest.toString('base64url', 0, 16), generation: 1 };
  }

  async function find(refreshToken: string, client: Client): Promise<ImportedRefreshToken | undefined> {
    if (!POSSIBLE_TOKEN.test(refreshToken)) return undefined;
    const result: unknown = (await callHost(() => ask(refreshToken, { client }))) ?? undefined;
    refusePromises(result, 'refreshTokens.import');
    if (result === undefined) return undefined;
    if (!isImportedGrant(result)) throw serverError(new TypeError(SHAPE));
    if (result.clientId !== client.clientId) return undefined;
    return { imported: result, reference: referenceTo(result) };
  }

  async function read({ reference: { grantId } }: ImportedRefreshToken): Promise<Grant | undefined> {
    // In this order: a parallel request inserts the grant before it writes the mark.
    const mark = await store.get(markOf(grantId));
    const grant = await store.getGrant(grantId);
    const kept = grant && (await marked(grant, mark));
    if (!kept && (grant ?? mark) !== undefined) throw refused('its grant has ended');
    return kept;
  }

  /** Writes the mark of a grant, or ends a grant that does not fit the mark that is there. */
  async function marked(grant: Grant, mark: string | undefined): Promise<Grant | undefined> {
    const { id, importId = id } = grant;
    if (mark === undefined) await store.put(markOf(id), importId, MARKED);
    if (mark === undefined || mark === importId) return grant;
    await store.revokeGrant(id);
    return undefined;
  }

  function create(
    { imported, reference }: ImportedRefreshToken,
    { client, confirmation }: TokenRequest,
  ): Grant {
    const { user, resource } = imported;
    const issuedAt = imported.issuedAt ?? undefined;
    if ((issuedAt ?? 0) < client.grantsNotBefore) throw refused('issued before grantsNotBefore');
    const granted = [imported.scope].flat().flatMap(scopeValues);
    const scope = granted.filter((value) => mayHaveScope(client, value));
    // An empty scope is not the whole one.
    if (scope.length === 0 && granted.length > 0) throw refused('the client has lost its scope');
    const context: GrantContext = {
      client,
      grantType: 'refresh_token',
      userId: userIdOf(user, client),
      scope,
      resources: audiences.checked([resource ?? audiences.defaultAudience].flat(), client),
    };
    const now = clock();
    const grant = newRefreshableGrant(policies, now, {
      context,
      authentication: authenticationOf(user),
      confirmation: imported.confirmation ?? confirmation,
    });
    const createdAt = issuedAt === undefined ? now : Math.min(now, issuedAt * 1000);
    return { ...grant, id: reference.grantId, importId: grant.id, createdAt };
  }

  async function begin(grant: Grant): Promise<Grant | undefined> {
    const outcome = await insertFirst(store, grant);
    const current = outcome.won ? grant : outcome.stored;
    const kept = current && (await marked(current, await store.get(markOf(grant.id))));
    if (outcome.won && kept) reporter.emit('refresh_token.imported', identifiersOf(grant));
    return kept;
  }

  return {
    find,
    read,
    create,
    begin,
    forget: async ({ reference }) => {
      await store.put(markOf(reference.grantId), 'revoked', MARKED);
    },
  };
}

const refused = (reason: string): Error => refusedGrant('refresh token', reason);

const SHAPE = 'refreshTokens.import must return id, clientId, user and scope, or nothing';

function isImportedGrant(result: unknown): result is ImportedGrant {
  if (!isJsonObject(result)) return false;
  const { id, clientId, user, scope, resource, issuedAt, confirmation } = result;
  return (
    isUserId(id) &&
    typeof clientId === 'string' &&
    isJsonObject(user) &&
    isTexts(scope) &&
    (isMissing(resource) || (isTexts(resource) && [resource].flat().length > 0)) &&
    (isMissing(confirmation) || isJsonObject(confirmation)) &&
    (isMissing(issuedAt) || (Number.isFinite(issuedAt) && (issuedAt as number) < 1e11))
  );
}

function isTexts(value: unknown): value is string | string[] {
  return [value].flat().every((text) => typeof text === 'string');
}

function isMissing(value: unknown): boolean {
  return value === undefined || value === null;
}
