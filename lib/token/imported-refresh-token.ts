import { createHash } from 'node:crypto';

import type { Store } from '../adapters/store';
import { mayHaveScope, scopeValues, type Client } from '../clients/client';
import { serverError, temporarilyUnavailable, type OAuthError } from '../errors';
import type { EventReporter } from '../event-reporter';
import { insertFirst } from '../grants/commit';
import { isVoid, type Grant } from '../grants/grant';
import { hasMark, writeMark } from '../grants/import-mark';
import { callHostWith, refusePromises, type Awaitable } from '../host/call';
import type { GrantContext } from '../host/grant-context';
import { authenticationOf, isUserId, userIdOf, type OAuthUser } from '../host/user';
import { isJsonObject } from '../json';
import type { Audiences } from '../policy/audiences';
import type { Policies } from '../policy/policies';
import { frozen } from '../policy/scopes';
import type { Confirmation } from '../tokens/access-token';
import type { GrantReference } from '../tokens/grant-token';
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
   * When the token was issued, or the user authorized the client; 0 if that is not known. A later `grantsNotBefore` of the client voids it.
   * Epoch seconds.
   */
  readonly issuedAt: number;
  /** The key or certificate that the token of a public client is bound to. @defaultValue the one that the first request proves */
  readonly confirmation?:
    { readonly [Name in keyof Confirmation]?: string | null | undefined } | null | undefined;
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
  /** The token itself. */
  readonly token: string;
  readonly reference: GrantReference;
  readonly imported: ImportedGrant;
}

/**
 * The refresh tokens of another server. The first use inserts the grant that a token stands for, as generation 0: nothing is issued for
 * it before it is advanced. From there the rules of any refresh token hold, for parallel use, lost answers and reuse alike.
 */
export interface ImportedRefreshTokens {
  /** Finds a token. Returns `undefined` if it is unknown, or another client's. @throws OAuthError `temporarily_unavailable` */
  find(refreshToken: string, client: Client): Promise<ImportedRefreshToken | undefined>;
  /** Returns a request with the grant of its token, which the first use inserts. @throws OAuthError `invalid_grant` if it has ended */
  withGrant(request: TokenRequest, refreshToken: string): Promise<TokenRequest>;
}

interface ImportOptions {
  issuer: string;
  store: Store;
  audiences: Audiences;
  policies: Policies;
  clock: () => number;
  reporter: EventReporter;
}

/** RFC 6749 appendix A.17: visible ASCII characters. No server has longer ones. */
const POSSIBLE_TOKEN = /^[\x20-\x7e]{1,4096}$/;

export function createImportedRefreshTokens(
  ask: ImportRefreshToken,
  { issuer, store, audiences, policies, clock, reporter }: ImportOptions,
): ImportedRefreshTokens {
  async function find(refreshToken: string, client: Client): Promise<ImportedRefreshToken | undefined> {
    if (!POSSIBLE_TOKEN.test(refreshToken)) return undefined;
    const result: unknown = await callHostWith(
      [refreshToken],
      () => ask(refreshToken, { client }),
      unavailable,
    );
    if (result === undefined || result === null) return undefined;
    // Further members of a user are the host's own.
    refusePromises({ ...(isJsonObject(result) && result), user: undefined }, 'refreshTokens.import');
    if (!isImportedGrant(result)) throw serverError(new TypeError(SHAPE));
    if (result.clientId !== client.clientId) return undefined;
    return { token: refreshToken, imported: result, reference: referenceTo(result, issuer) };
  }

  /** The old database is away, or the function has a mistake. */
  function unavailable(cause: unknown): OAuthError {
    const reason = 'refreshTokens.import failed';
    reporter.failed('refreshTokens.import', cause);
    return temporarilyUnavailable('The refresh token cannot be found', { cause, reason });
  }

  async function withGrant(request: TokenRequest, refreshToken: string): Promise<TokenRequest> {
    const found = await find(refreshToken, request.client);
    if (!found) throw refused('unknown');
    return { ...request, reference: found.reference, grant: await begin(found, request.client) };
  }

  async function begin(token: ImportedRefreshToken, client: Client): Promise<Grant> {
    const { grantId } = token.reference;
    // In this order: a parallel request inserts the grant before it writes the mark.
    const hasBegun = await hasMark(store, grantId, 'begun');
    const stored =
      (await store.getGrant(grantId)) ?? (hasBegun ? undefined : await insert(create(token, client)));
    if (!stored) throw refused('its grant has ended');
    if (stored.clientId !== client.clientId || stored.userId !== userIdOf(token.imported.user, client))
      throw refused('its id is that of another token');
    if (!hasBegun) await writeMark(store, grantId, 'begun');
    return isVoid(stored) ? current(stored, token, client) : stored;
  }

  /** Inserts a grant. Returns the one that is stored, because a parallel request may have inserted another. */
  async function insert(grant: Grant): Promise<Grant | undefined> {
    const outcome = await insertFirst(store, grant);
    return outcome.won ? grant : outcome.stored;
  }

  /** What the grant is by now: the user may have ended it at the host while it was inserted, or since an earlier attempt. */
  async function current(
    stored: Grant,
    { token, reference }: ImportedRefreshToken,
    client: Client,
  ): Promise<Grant> {
    const again = await find(token, client);
    if (again?.reference.grantId !== reference.grantId) throw refused('unknown meanwhile');
    return { ...create(again, client), attempt: stored.attempt };
  }

  function create({ imported, reference }: ImportedRefreshToken, client: Client): Grant {
    const { user, resource } = imported;
    if (imported.issuedAt < client.grantsNotBefore) throw refused('issued before grantsNotBefore');
    const granted = [imported.scope].flat().flatMap(scopeValues);
    const scope = frozen(granted.filter((value) => mayHaveScope(client, value)));
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
      confirmation: confirmationOf(imported),
    });
    return {
      ...grant,
      id: reference.grantId,
      generation: 0,
      isImported: true,
      createdAt: Math.min(now, imported.issuedAt * 1000),
      // The first advance begins the idle lifetime.
      expiresAt: grant.absoluteExpiresAt ?? grant.expiresAt,
    };
  }

  return { find, withGrant };
}

function referenceTo({ id }: ImportedGrant, issuer: string): GrantReference {
  // No secret takes part: another one must not make it another grant.
  const digest = createHash('sha256')
    .update(JSON.stringify([issuer, String(id)]))
    .digest();
  return { grantId: digest.toString('base64url', 0, 16), generation: 1 };
}

const refused = (reason: string): Error => refusedGrant('refresh token', reason);

const SHAPE = 'refreshTokens.import must return id, clientId, user, scope and issuedAt, or nothing';

function isImportedGrant(result: unknown): result is ImportedGrant {
  if (!isJsonObject(result)) return false;
  const { id, clientId, user, scope, resource, issuedAt, confirmation } = result;
  return (
    isUserId(id) &&
    typeof clientId === 'string' &&
    isJsonObject(user) &&
    isTexts(scope) &&
    (isMissing(resource) || (isTexts(resource) && [resource].flat().length > 0)) &&
    (isMissing(confirmation) || isConfirmation(confirmation)) &&
    Number.isFinite(issuedAt) &&
    (issuedAt as number) < 1e11
  );
}

/** A missing member may be `null`, as in the row of a database; a name that is not known must not stand for no binding. */
function isConfirmation(confirmation: unknown): boolean {
  return (
    isJsonObject(confirmation) &&
    Object.entries(confirmation).every(
      ([name, value]) =>
        ['jkt', 'x5t#S256'].includes(name) &&
        (isMissing(value) || (typeof value === 'string' && value !== '')),
    )
  );
}

/** Returns the key or certificate that a token is bound to. */
function confirmationOf({ confirmation }: ImportedGrant): Confirmation | undefined {
  const { jkt, 'x5t#S256': x5t } = confirmation ?? {};
  if (isMissing(jkt) && isMissing(x5t)) return undefined;
  return { ...(!isMissing(jkt) && { jkt }), ...(!isMissing(x5t) && { 'x5t#S256': x5t }) } as Confirmation;
}

function isTexts(value: unknown): value is string | string[] {
  return [value].flat().every((text) => typeof text === 'string');
}

function isMissing(value: unknown): boolean {
  return value === undefined || value === null;
}
