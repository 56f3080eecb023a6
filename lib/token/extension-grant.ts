import type { Request } from 'express';

import type { Client } from '../clients/client';
import { invalidGrant, unauthorizedClient } from '../errors';
import { insert } from '../grants/commit';
import { refreshExpiryOf } from '../grants/grant';
import { callHostWith, type Awaitable } from '../host/call';
import type { GrantContext } from '../host/grant-context';
import { authenticationOf, userIdOf, type OAuthUser } from '../host/user';
import { isJsonObject } from '../json';
import type { GrantType, TokenRequest } from './grant-type';
import type { TokenSet } from './issuer';
import type { IssueRequest } from './issue-request';
import { newRefreshableGrant } from './new-grant';
import type { GrantTypeOptions } from './options';

/** The request that a host's own grant type decides about. The client has authenticated and is registered for the grant type. */
export interface ExtensionGrantContext {
  /** The client that requests tokens. */
  readonly client: Client;
  /** All parameters of the request except credentials. */
  readonly parameters: Readonly<Record<string, string>>;
  /** The request itself. */
  readonly req: Request;
}

/** The decision of a host's own grant type. It never contains a token. */
export interface ExtensionGrantDecision {
  /** The user on whose behalf the client acts; without it, the client acts for itself. */
  readonly user?: OAuthUser;
  /** Scope values within the client's, separated by spaces. @defaultValue the requested scope, or all of the client's */
  readonly scope?: string;
  /** The audiences. @defaultValue the requested resource, or the default audience */
  readonly resource?: string | readonly string[];
}

/**
 * A grant type of the host (RFC 6749 §4.5). The response contains a refresh token if the decision names a user, the client is
 * registered for `refresh_token`, and `refreshTokens.issue` allows it. A result of `undefined`, or a result whose `user` is
 * `undefined`, refuses with `invalid_grant`; to refuse with another error, throw an `OAuthError`.
 */
export type ExtensionGrant = (
  context: ExtensionGrantContext,
) => Awaitable<ExtensionGrantDecision | undefined>;

const CREDENTIAL_PARAMETERS = ['client_secret', 'client_assertion', 'client_assertion_type'];

export function createExtensionGrant(
  name: string,
  decide: ExtensionGrant,
  options: GrantTypeOptions,
): GrantType {
  const { issue, policies, audiences } = options;

  async function respond({ client, parameters, confirmation, req }: TokenRequest): Promise<TokenSet> {
    const shown = Object.fromEntries(
      parameters.entries().filter(([key]) => !CREDENTIAL_PARAMETERS.includes(key)),
    );
    const decision: unknown = await callHostWith(Object.values(shown), () =>
      decide({ client, parameters: shown, req }),
    );
    if (!isDecision(decision)) throw invalidGrant('The grant was refused', { reason: 'refused by the host' });
    const { user, resource } = decision;
    // RFC 6749 §4.4: only a client that has authenticated may act for itself.
    if (!user && !client.confidential) throw unauthorizedClient('A public client needs a user');

    const resources =
      resource === undefined
        ? audiences.requested(parameters, client)
        : audiences.checked([resource].flat(), client);
    const context: GrantContext = {
      client,
      grantType: name,
      userId: user && userIdOf(user, client),
      scope:
        decision.scope === undefined
          ? audiences.requestedScope(parameters.get('scope'), client, resources)
          : audiences.decidedScope(decision.scope, client, resources),
      resources,
    };
    const authentication = user && authenticationOf(user);
    const idToken = context.scope.includes('openid') ? { claims: [] } : undefined;
    const request = { context, authentication, confirmation, idToken };
    if (context.userId !== undefined && policies.issuesRefreshToken(context)) {
      return withRefreshToken(request);
    }
    // Without a record, no client can be told that a session has ended: the token contains no session id.
    return issue({ ...request, authentication: { ...authentication, sid: undefined } });
  }

  async function withRefreshToken(request: IssueRequest): Promise<TokenSet> {
    const { store, grantTokens, clock } = options;
    const grant = newRefreshableGrant(policies, clock(), request);
    const { id: grantId } = grant;
    const issued = await issue({ ...request, grantId, notAfter: refreshExpiryOf(grant) });
    await insert(store, grant);
    const refreshToken = grantTokens.refreshToken(grantId, grant.generation);
    return { ...issued, refreshToken };
  }

  return { name, readsAllParameters: true, respond };
}

/**
 * Whether a result is a decision. A lookup that found no user must refuse: `{ user: undefined }` does not mean that the client
 * acts for itself.
 */
function isDecision(decision: unknown): decision is ExtensionGrantDecision {
  if (!isJsonObject(decision)) return false;
  return !('user' in decision) || (typeof decision.user === 'object' && decision.user !== null);
}
