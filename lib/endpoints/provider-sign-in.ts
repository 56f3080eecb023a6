import type { Request, Response } from 'express';

import type { Client } from '../clients/client';
import { OAuthError, serverError } from '../errors';
import type { EventReporter } from '../events';
import type { BrowserBinding } from '../federation/browser-binding';
import type { ProviderIdentity } from '../federation/identity';
import {
  ofAnotherServer,
  refuseThirdParty,
  unusable,
  type LinkTicket,
  type LinkTickets,
} from '../federation/link-tickets';
import type { ProviderTokenStore } from '../federation/provider-tokens';
import type { ResolveUserContext } from '../federation/resolve-user';
import type { Upstream } from '../federation/upstream';
import type { Policies } from '../grants/policy';
import type { TokenStatus } from '../grants/token-status';
import { authTimeOf, essentialsOf, userIdOf, type OAuthUser } from '../grants/user';
import { redirect } from '../http/redirect';
import type { AccessTokenClaims, AccessTokens } from '../tokens/access-token';
import { decodeJwt } from '../tokens/jwt';
import { grantContext, type AuthorizationRequest, type RedirectTarget } from './authorization-request';
import type { FederationRequest } from './federation-request';
import type { ProviderTransaction, ProviderTransactions, Returned } from './provider-transaction';
import type { Progress, Resumed, SignedIn } from './resumption';

/**
 * Who at the host a provider's user is. `isNew` says that the account was made just now. `undefined` refuses with
 * `access_denied`; so does an `OAuthError` of the host's choice.
 */
export type ResolveUser<User extends OAuthUser = OAuthUser> = (
  identity: ProviderIdentity,
  context: ResolveUserContext,
) => Resolved<User> | Promise<Resolved<User>>;

type Resolved<User> = (User & { isNew?: boolean | undefined }) | undefined | null;

/** An authorization request that names a provider. */
type FederatedRequest = AuthorizationRequest & { readonly federation: FederationRequest };

/** Sends the browser to a provider, and finds out who came back. */
export interface ProviderSignIn {
  /** Answers with a redirect to the provider. */
  depart(res: Response, request: FederatedRequest, resumed: Resumed): Promise<void>;
  /** A request that has come back, with who has signed in. */
  arrive(req: Request, res: Response, returned: Returned, target: RedirectTarget): Promise<SignedIn>;
  /** The user of a request that has come back, in the browser that it left with. */
  userOf(req: Request, progress: Progress): OAuthUser | undefined;
  /** The request is answered: nothing of it can come back. */
  finish(res: Response, state: string): void;
}

interface ProviderSignInOptions {
  issuer: string;
  upstreams: ReadonlyMap<string, Upstream>;
  resolveUser: ResolveUser | undefined;
  transactions: ProviderTransactions;
  binding: BrowserBinding;
  linkTickets: LinkTickets;
  /** Whether an access token will do as `token`. */
  linkWithAccessTokens: boolean;
  providerTokens: ProviderTokenStore;
  accessTokens: AccessTokens;
  status: TokenStatus;
  policies: Policies;
  clock: () => number;
  reporter: EventReporter;
}

export function providerSignIn(options: ProviderSignInOptions): ProviderSignIn {
  const { issuer, upstreams, transactions, binding, linkTickets, providerTokens } = options;
  const { accessTokens, status, policies, clock, reporter } = options;

  function upstreamOf(providerId: string): Upstream {
    const own = upstreams.get(providerId);
    // The options may have changed since the browser left.
    if (!own) throw new OAuthError('invalid_request', `The provider ${providerId} is unknown`);
    return own;
  }

  async function depart(res: Response, request: FederatedRequest, resumed: Resumed): Promise<void> {
    const { client, prompt, maxAge, loginHint, uiLocales, federation } = request;
    const { providerId, type, token, extraScope } = federation;
    if (prompt.includes('none')) {
      throw new OAuthError('login_required', 'Signing in through a provider cannot be silent');
    }
    const ticket = token === undefined ? undefined : await ticketOf(token, client.clientId);
    const { authorizationUrl, provider } = upstreamOf(providerId);
    const state = transactions.newState();
    const upstreamRequest = { state, extraScope, prompt, maxAge, loginHint, uiLocales };
    const { url, checks } = await reported(providerId, client, () => authorizationUrl(upstreamRequest));
    // What can fail without it has not failed.
    await ticket?.spend();

    const lifetime = policies.federationLifetime(grantContext(request));
    const transaction: ProviderTransaction = {
      providerId,
      type,
      currentUserId: ticket?.userId,
      progress: resumed.progress,
      entries: resumed.parameters.entries().filter(([name]) => name !== 'token'),
      checks,
      expiresAt: clock() + lifetime * 1000,
    };
    const crossSite = provider.responseMode === 'form_post';
    await transactions.begin(res, state, transaction, { lifetime, crossSite });
    redirect(res, url);
  }

  /** Whom `token` is of. @throws OAuthError `login_required` or `access_denied` */
  async function ticketOf(
    token: string,
    clientId: string,
  ): Promise<LinkTicket & { spend(): Promise<unknown> }> {
    const claims = options.linkWithAccessTokens ? accessTokenClaims(token) : undefined;
    const ticket = claims
      ? { ...(await ticketOfAccessToken(claims)), spend: () => Promise.resolve() }
      : { ...linkTickets.read(token), spend: () => linkTickets.spend(token) };
    if (ticket.clientId !== clientId) throw new OAuthError('access_denied', 'The token is of another client');
    return ticket;
  }

  /** `undefined` for what is no JWT or opaque access token at all. */
  function accessTokenClaims(token: string): AccessTokenClaims | undefined {
    const claims = accessTokens.read(token);
    const foreign = claims ? undefined : decodeJwt(token)?.claims.iss;
    if (foreign !== undefined && foreign !== issuer) throw ofAnotherServer();
    return claims;
  }

  async function ticketOfAccessToken(claims: AccessTokenClaims): Promise<LinkTicket> {
    const live = await status(claims);
    if (!live || claims.sub === claims.client_id) throw unusable('access token expired or revoked');
    // It cannot be proven here who holds it.
    if (claims.cnf !== undefined) throw unusable('access token is bound to a key');
    refuseThirdParty(live.client);
    return { userId: claims.sub, clientId: claims.client_id };
  }

  async function arrive(
    req: Request,
    res: Response,
    { transaction, answer }: Returned,
    { client }: RedirectTarget,
  ): Promise<SignedIn> {
    const { providerId, type, currentUserId, checks, expiresAt } = transaction;
    if (clock() >= expiresAt) throw new OAuthError('access_denied', 'The transaction expired');
    const { identify, provider } = upstreamOf(providerId);
    const { identity, tokens } = await reported(providerId, client, () => identify(answer, checks));
    const user = await resolved(identity, {
      type,
      currentUser: currentUserId === undefined ? undefined : { id: currentUserId },
      client,
      accessToken: tokens.accessToken,
      request: req,
      response: res,
    });
    const userId = userIdOf(user, client);
    const isNewUser = user.isNew ?? false;
    if (provider.storeTokens) await providerTokens.save({ userId, providerId }, tokens);
    reporter.emit('provider.signed_in', { clientId: client.clientId, userId, providerId, type, isNewUser });
    const authTime = authTimeOf(user) ?? identity.authTime;
    return { providerId, type, isNewUser, state: answer.state, user: { ...essentialsOf(user), authTime } };
  }

  async function resolved(
    identity: ProviderIdentity,
    context: ResolveUserContext,
  ): Promise<OAuthUser & { isNew?: boolean | undefined }> {
    if (!options.resolveUser) throw serverError(new Error('there is no resolveUser'));
    const user = await options.resolveUser(identity, context);
    if (context.response.headersSent) throw serverError(new Error('resolveUser must not answer'));
    if (user === undefined || user === null) {
      throw new OAuthError('access_denied', 'The user is not known here', {
        reason: 'resolveUser found nobody',
      });
    }
    return user;
  }

  /** What a provider fails with is told to the operator, a user's own refusal apart. */
  async function reported<T>(providerId: string, { clientId }: Client, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (thrown) {
      const { code, cause } = thrown as OAuthError;
      if (code !== 'access_denied') reporter.emit('provider.failed', { clientId, providerId, cause });
      throw thrown;
    }
  }

  return {
    depart,
    arrive,
    userOf: (req, { signedIn }) =>
      signedIn && binding.isBound(req, signedIn.state) ? signedIn.user : undefined,
    finish: binding.release,
  };
}
