import type { Request } from 'express';

import type { Client } from '../clients/client';
import { OAuthError } from '../errors';
import { grantId as newGrantId } from '../tokens/grant-token';
import { boundTo } from './binding';
import { insert } from './commit';
import { newAttempt, type Grant } from './grant';
import type { GrantType, GrantTypeOptions, TokenRequest } from './grant-type';
import { refreshLifetimes, sessionLifetimes } from './lifetimes';
import type { GrantContext } from './policy';
import type { TokenSet } from './token-issuer';
import { authenticationOf, userIdOf, type OAuthUser } from './user';

/** What a host's own grant type decides by. The client has authenticated and is registered for the grant type. */
export interface ExtensionGrantContext {
  readonly client: Client;
  /** All parameters of the request but credentials. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly req: Request;
}

/** What a host's own grant type decides: never a token. */
export interface ExtensionGrantDecision {
  /** On whose behalf; without a user the client acts for itself. */
  readonly user?: OAuthUser;
  /** Separated by spaces, within the client's. @defaultValue what the request asked for, else all of the client's */
  readonly scope?: string;
  /** @defaultValue what the request asked for, else the default audience */
  readonly resource?: string | readonly string[];
}

/**
 * A grant type of the host (RFC 6749 §4.5). With a user, and a client that is registered for `refresh_token`, the response
 * has a refresh token. `undefined`, or a `user` that is not there, refuses with `invalid_grant`; so does an `OAuthError` of the host's choice.
 */
export type ExtensionGrant = (
  context: ExtensionGrantContext,
) => ExtensionGrantDecision | undefined | Promise<ExtensionGrantDecision | undefined>;

const CREDENTIALS = ['client_secret', 'client_assertion', 'client_assertion_type'];

export function extensionGrant(name: string, decide: ExtensionGrant, options: GrantTypeOptions): GrantType {
  const { store, grantTokens, issue, policies, clock, audiences } = options;

  async function respond({ client, parameters, confirmation, req }: TokenRequest): Promise<TokenSet> {
    const given = Object.fromEntries(parameters.entries().filter(([key]) => !CREDENTIALS.includes(key)));
    const decision: unknown = await decide({ client, parameters: given, req });
    if (!isDecision(decision)) {
      throw new OAuthError('invalid_grant', 'The grant was refused', { reason: 'refused by the host' });
    }
    const { user } = decision;
    // RFC 6749 §4.4: acting for itself is for clients that have proven who they are.
    if (!user && !client.confidential) {
      throw new OAuthError('unauthorized_client', 'A public client needs a user');
    }

    const { resource } = decision;
    const resources =
      resource === undefined
        ? audiences.requested(parameters, client)
        : audiences.checked([resource].flat(), client);
    const context: GrantContext = {
      client,
      grantType: name,
      userId: user && userIdOf(user, client),
      scope: audiences.scope(decision.scope ?? parameters.get('scope'), client.scope, resources),
      resources,
    };
    const authentication = user && authenticationOf(user);
    const idToken = context.scope.includes('openid') ? { claims: [] } : undefined;
    const request = { context, authentication, confirmation, idToken };
    if (context.userId === undefined || !policies.refreshTokens(context)) {
      // Without a record nobody could be told that a session has ended, so the token names none.
      return {
        ...(await issue({ ...request, authentication: { ...authentication, sid: undefined } })),
        context,
      };
    }

    const now = clock();
    const lifetimes = refreshLifetimes(policies, context, now);
    const grant: Grant = {
      id: newGrantId(),
      generation: 1,
      attempt: newAttempt(),
      clientId: client.clientId,
      userId: context.userId,
      scope: context.scope,
      resources: context.resources,
      ...authentication,
      confirmation: boundTo(client, confirmation),
      createdAt: now,
      ...sessionLifetimes(policies, context, { sid: authentication?.sid, createdAt: now }, lifetimes),
    };
    const { id: grantId } = grant;
    const issued = await issue({ ...request, grantId, notAfter: lifetimes.expiresAt });
    await insert(store, grant);
    return { ...issued, context, grantId, refreshToken: grantTokens.refreshToken(grantId, grant.generation) };
  }

  return { name, respond };
}

/** A user that was looked up and not found must refuse: `{ user: undefined }` is no decision for the client itself. */
function isDecision(decision: unknown): decision is ExtensionGrantDecision {
  if (typeof decision !== 'object' || decision === null) return false;
  return !('user' in decision) || (typeof decision.user === 'object' && decision.user !== null);
}
