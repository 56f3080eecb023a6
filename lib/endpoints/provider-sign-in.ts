import type { Request, Response } from 'express';

import { scopeValues, type Client } from '../clients/client';
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
import { audiences as audiencesIn, type AccessTokenClaims, type AccessTokens } from '../tokens/access-token';
import { decodeJwt } from '../tokens/jwt';
import type { Subjects } from '../tokens/subject';
import { grantContext, type AuthorizationRequest, type RedirectTarget } from './authorization-request';
import type { FederationRequest } from './federation-request';
import type { ProviderTransaction, ProviderTransactions, Returned } from './provider-transaction';
import { refuseLong, type Progress, type Resumed, type SignedIn } from './resumption';
import type { Authenticate } from './sign-in';

/**
 * Who at the host a provider's user is. `isNew` says that the account was made just now. `undefined` refuses with
 * `access_denied`; so does an `OAuthError` of the host's choice.
 */
export type ResolveUser = (
  identity: ProviderIdentity,
  context: ResolveUserContext,
) => Resolved | Promise<Resolved>;

type Resolved = (OAuthUser & { isNew?: boolean | undefined }) | undefined | null;

/** An authorization request that names a provider. */
type FederatedRequest = AuthorizationRequest & { readonly federation: FederationRequest };

/** Sends the browser to a provider, and finds out who came back. */
export interface ProviderSignIn {
  /** Answers with a redirect to the provider. */
  depart(req: Request, res: Response, request: FederatedRequest, resumed: Resumed): Promise<void>;
  /** A request that has come back, with who has signed in. */
  arrive(req: Request, res: Response, returned: Returned, target: RedirectTarget): Promise<SignedIn>;
  /** The user of a request that has come back. @throws OAuthError `access_denied` in another browser */
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
  defaultAudience: string;
  subjects: Subjects;
  authenticate: Authenticate<OAuthUser>;
  status: TokenStatus;
  policies: Policies;
  clock: () => number;
  reporter: EventReporter;
}

export function providerSignIn(options: ProviderSignInOptions): ProviderSignIn {
  const { issuer, upstreams, transactions, binding, linkTickets, providerTokens } = options;
  const { accessTokens, defaultAudience, subjects, status, policies, clock, reporter } = options;

  function upstreamOf(providerId: string): Upstream {
    const own = upstreams.get(providerId);
    // The options may have changed since the browser left.
    if (!own) throw new OAuthError('invalid_request', `The provider ${providerId} is unknown`);
    return own;
  }

  async function depart(
    req: Request,
    res: Response,
    request: FederatedRequest,
    resumed: Resumed,
  ): Promise<void> {
    const { client, prompt, maxAge, loginHint, uiLocales, federation } = request;
    const { providerId, type, token, extraScope } = federation;
    if (prompt.includes('none')) {
      throw new OAuthError('login_required', 'Signing in through a provider cannot be silent');
    }
    refuseLong(resumed.parameters);
    const ticket = token === undefined ? undefined : await ticketOf(token, client.clientId);
    if (ticket) await refuseOthers(req, ticket, request);
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
      current: ticket && { userId: ticket.userId, scope: ticket.scope },
      progress: resumed.progress,
      entries: resumed.parameters.entries().filter(([name]) => name !== 'token'),
      checks,
      expiresAt: clock() + lifetime * 1000,
    };
    const crossSite = provider.responseMode === 'form_post';
    await transactions.begin(req, res, state, transaction, { lifetime, crossSite });
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
    if (!audiencesIn(claims).includes(defaultAudience)) throw unusable('access token for another API');
    refuseThirdParty(live.client);
    return { userId: claims.sub, clientId: claims.client_id, scope: scopeValues(claims.scope) };
  }

  /** A ticket in a link of somebody else's would link whoever follows it to that one's account. */
  async function refuseOthers(
    req: Request,
    { userId }: LinkTicket,
    request: FederatedRequest,
  ): Promise<void> {
    const { client, expectedSubs } = request;
    const signedIn = (await options.authenticate(req)) ?? undefined;
    if (signedIn && String(signedIn.id) !== userId) {
      throw new OAuthError('access_denied', 'The token is of another user than the one who is signed in');
    }
    const sub = subjects.sub(client, userId);
    if (request.federation.type === 'link' && !expectedSubs.every((subs) => subs.includes(sub))) {
      throw unusable('token of another user than the one who is expected');
    }
  }

  async function arrive(
    req: Request,
    res: Response,
    { transaction, answer }: Returned,
    { client }: RedirectTarget,
  ): Promise<SignedIn> {
    const { providerId, type, current, checks, expiresAt } = transaction;
    if (clock() >= expiresAt) throw new OAuthError('access_denied', 'The transaction expired');
    const { identify, provider } = upstreamOf(providerId);
    const { identity, tokens } = await reported(providerId, client, () => identify(answer, checks));
    const user = await resolved(identity, {
      type,
      currentUser: current && { id: current.userId },
      client,
      accessToken: tokens.accessToken,
      request: req,
      response: res,
    });
    const userId = userIdOf(user, client);
    const isNewUser = user.isNew ?? false;
    if (provider.storeTokens) {
      await providerTokens.save({ userId, providerId, subject: identity.subject }, tokens);
    }
    reporter.emit('provider.signed_in', { clientId: client.clientId, userId, providerId, type, isNewUser });
    // Who links an account has shown that it is theirs, and nothing of the one that it is linked to.
    const authTime = authTimeOf(user) ?? (type === 'link' ? undefined : identity.authTime);
    return {
      providerId,
      type,
      isNewUser,
      state: answer.state,
      user: { ...essentialsOf(user), authTime },
      scopeLimit: type === 'link' ? current?.scope : undefined,
    };
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
    userOf: (req, { signedIn }) => {
      if (signedIn && !binding.isBound(req, signedIn.state)) {
        throw new OAuthError('access_denied', 'This sign-in is over, or was begun in another browser');
      }
      return signedIn?.user;
    },
    finish: binding.release,
  };
}
