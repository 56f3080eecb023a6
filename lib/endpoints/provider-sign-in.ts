import type { Request, Response } from 'express';

import type { Client } from '../clients/client';
import { OAuthError, serverError } from '../errors';
import type { EventReporter } from '../events';
import type { BrowserBinding } from '../federation/browser-binding';
import type { ProviderIdentity } from '../federation/identity';
import { unusable, type LinkTicket } from '../federation/link-tickets';
import type { ProviderTokenStore } from '../federation/provider-tokens';
import type { ResolveUserContext } from '../federation/resolve-user';
import type { Upstream } from '../federation/upstream';
import type { Policies } from '../grants/policy';
import { authTimeOf, essentialsOf, userIdOf, type OAuthUser } from '../grants/user';
import { redirect } from '../http/redirect';
import type { Subjects } from '../tokens/subject';
import { grantContext, type AuthorizationRequest, type RedirectTarget } from './authorization-request';
import type { FederationRequest } from './federation-request';
import type { LinkTokens } from './link-token';
import type { ProviderTransaction, ProviderTransactions, Returned } from './provider-transaction';
import { refuseLong, type Progress, type Resumed, type SignedIn } from './resumption';
import { shortcomingOf, type Authenticate } from './sign-in';

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
  upstreams: ReadonlyMap<string, Upstream>;
  resolveUser: ResolveUser | undefined;
  transactions: ProviderTransactions;
  binding: BrowserBinding;
  linkTokens: LinkTokens;
  providerTokens: ProviderTokenStore;
  defaultAudience: string;
  subjects: Subjects;
  authenticate: Authenticate<OAuthUser>;
  policies: Policies;
  clock: () => number;
  reporter: EventReporter;
}

export function providerSignIn(options: ProviderSignInOptions): ProviderSignIn {
  const { upstreams, transactions, binding, providerTokens } = options;
  const { defaultAudience, subjects, policies, clock, reporter } = options;

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
    const ticket = token === undefined ? undefined : await options.linkTokens.read(token, client.clientId);
    if (ticket) await refuseOthers(req, ticket, request, resumed.progress);
    const { authorizationUrl, provider } = upstreamOf(providerId);
    const state = transactions.newState();
    const upstreamRequest = { state, extraScope, prompt, maxAge, loginHint, uiLocales };
    const { url, checks } = await reported(providerId, client, () => authorizationUrl(upstreamRequest));
    // What can fail without it has not failed.
    await ticket?.spend();

    const context = grantContext(request);
    const lifetime = policies.federationLifetime(context);
    const transaction: ProviderTransaction = {
      providerId,
      type,
      current: ticket,
      progress: resumed.progress,
      entries: resumed.parameters.entries().filter(([name]) => name !== 'token'),
      checks,
      expiresAt: clock() + lifetime * 1000,
    };
    const crossSite = provider.responseMode === 'form_post';
    await transactions.begin(req, res, state, transaction, {
      lifetime,
      // The page that asks for consent is of this browser, too.
      grace: policies.consentLifetime(context),
      crossSite,
    });
    redirect(res, url);
  }

  /** A ticket in a link of somebody else's would link whoever follows it to that one's account. */
  async function refuseOthers(
    req: Request,
    ticket: LinkTicket,
    request: FederatedRequest,
    progress: Progress,
  ): Promise<void> {
    const { resources, federation } = request;
    const { userId, authTime, acr } = ticket;
    const signedIn = (await options.authenticate(req)) ?? undefined;
    if (signedIn && String(signedIn.id) !== userId) {
      throw new OAuthError('access_denied', 'The token is of another user than the one who is signed in');
    }
    // Who links does not sign in: what the request wants of its user must hold before.
    const user = { id: userId, authTime, acr };
    const shortcoming =
      federation.type === 'link'
        ? shortcomingOf(user, request, progress, undefined, { now: clock(), subjects })
        : undefined;
    if (shortcoming !== undefined) throw unusable(`not satisfied by the token: ${shortcoming}`);
    // It was not good for any other API.
    if (resources.some((resource) => resource !== defaultAudience)) {
      throw new OAuthError('invalid_target', 'The token is not for this resource');
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
    const isCurrent = userId === current?.userId;
    if (type === 'link' && !isCurrent)
      throw serverError(new Error('resolveUser must give currentUser to link'));
    if (provider.storeTokens) {
      await providerTokens.save({ userId, providerId, subject: identity.subject }, tokens);
    }
    reporter.emit('provider.signed_in', { clientId: client.clientId, userId, providerId, type, isNewUser });
    // Who adds an account has shown that it is theirs, and of the one that it is added to just what the token says.
    const authTime = authTimeOf(user) ?? (isCurrent ? current.authTime : identity.authTime);
    const essentials = essentialsOf(user);
    const { acr = isCurrent ? current.acr : undefined, amr = isCurrent ? current.amr : undefined } =
      essentials;
    return {
      providerId,
      type,
      isNewUser,
      state: answer.state,
      user: { ...essentials, authTime, acr, amr },
      scopeLimit: isCurrent ? current.scope : undefined,
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
