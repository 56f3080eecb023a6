import { mayHaveScope, type Client } from '../clients/client';
import { authenticationIn, claimsIn, type Grant } from '../grants/grant';
import type { GrantContext } from '../host/grant-context';
import type { Parameters } from '../http/parameters';
import type { Confirmation } from '../tokens/access-token';
import { invalidProof } from '../tokens/dpop';
import { refusedGrant, type TokenRequest } from './grant-type';
import type { TokenSet } from './issuer';
import { boundTo, isBoundTo } from './key-binding';
import type { GrantTypeOptions } from './options';

/** A refresh request that has passed the checks which do not depend on the position of its token. */
export interface RefreshRequest {
  readonly client: Client;
  readonly parameters: Parameters;
  readonly confirmation: Confirmation | undefined;
  /** The grant as it was first read. */
  readonly grant: Grant;
  /** The generation of the refresh token. */
  readonly presented: number;
  /** The whole grant, as far as the client is still registered for it. */
  readonly context: GrantContext;
}

/** Checks a refresh request, and issues its tokens, for a record whose refresh token expires at `notAfter`. */
export type PrepareTokens = (request: RefreshRequest, record: Grant, notAfter: number) => Promise<TokenSet>;

/** Reads a refresh request. @throws OAuthError `invalid_grant` if the refresh token is unknown, or is not this client's */
export function readRefreshRequest({
  client,
  parameters,
  reference,
  grant,
  confirmation,
}: TokenRequest): RefreshRequest {
  if (!reference || !grant) throw refusedGrant('refresh token', 'unknown');
  if (grant.clientId !== client.clientId) throw refusedGrant('refresh token', 'issued to another client');
  // No refresh token is issued without a user: the token must not turn into one of the client itself.
  if (grant.generation > 0 && grant.userId === undefined)
    throw refusedGrant('refresh token', 'without a user');
  const bound = boundTo(client, grant.confirmation);
  if (!isBoundTo(bound, confirmation)) {
    if (bound?.jkt !== undefined && confirmation?.jkt === undefined) throw invalidProof('missing');
    throw refusedGrant('refresh token', 'bound to another key');
  }
  const context: GrantContext = {
    client,
    grantType: 'refresh_token',
    userId: grant.userId,
    scope: grant.scope.filter((value) => mayHaveScope(client, value)),
    resources: grant.resources,
  };
  return { client, parameters, confirmation, grant, presented: reference.generation, context };
}

export function createPrepareTokens({
  audiences,
  issue,
}: Pick<GrantTypeOptions, 'audiences' | 'issue'>): PrepareTokens {
  return ({ client, parameters, confirmation, grant, context }, record, notAfter) => {
    const resources = audiences.narrowed(parameters, client, grant.resources);
    const scope = audiences.scope(parameters.get('scope'), context.scope, resources);
    const narrowed: GrantContext = { ...context, scope, resources };
    return issue({
      context: narrowed,
      authentication: authenticationIn(record),
      confirmation,
      grantId: record.id,
      notAfter,
      // OpenID Connect Core §12.2: without a nonce, and regardless of the access token's scope.
      idToken: context.scope.includes('openid') ? { claims: claimsIn(record, client).idToken } : undefined,
    });
  };
}
