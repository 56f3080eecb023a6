import type { Request, RequestHandler, Response } from 'express';

import { accessDenied, invalidRequest, OAuthError, serverError } from '../errors';
import type { ResolveUser } from '../federation/resolve-user';
import { signedInUser, type Authenticate } from '../host/authenticate';
import { callHost } from '../host/call';
import type { OAuthUser } from '../host/user';
import { bodyParameters } from '../http/body';
import { createEndpoint, type EndpointFrame, type RespondError } from '../http/endpoint';
import { parametersOf, queryParameters, refuseSecrets, type Parameters } from '../http/parameters';
import type { ResolveReturnedUser, ReturnedArrival } from './arrival';
import type { Authorize } from './authorize';
import type { ProviderTransaction, ProviderTransactions } from './provider-transactions';

interface CallbackOptions {
  authorize: Authorize;
  authenticate: Authenticate<OAuthUser>;
  transactions: ProviderTransactions;
  resolveUser: ResolveUser | undefined;
  frame: EndpointFrame;
  respondError: RespondError;
}

/** Some providers post more than a code. Characters. */
const MAXIMUM_CALLBACK_LENGTH = 65_536;

/**
 * `GET` and `POST /callback/:provider_id`: receives a provider's response, and continues the authorization request.
 *
 * @see RFC 6749 §4.1.2, RFC 9207, OAuth 2.0 Form Post Response Mode
 */
export function createCallbackEndpoint(options: CallbackOptions): RequestHandler {
  const { authorize, transactions, frame, respondError } = options;

  return createEndpoint(
    frame,
    { name: 'callback', methods: ['GET', 'POST'], respond: respondError },
    async function callback(req, res, event) {
      const parameters = await responseParameters(req);
      const transactionId = parameters.get('state');
      const transaction =
        transactionId === undefined ? undefined : await transactions.take(req, transactionId);
      if (transactionId === undefined || !transaction)
        throw stale('unknown, used before, or begun in another browser');
      // Checked before anything is sent to a provider (RFC 9700 §4.4).
      if (transaction.providerId !== req.params.providerId) throw stale('begun at another provider');

      const pending = pendingRequest(transaction);
      event.clientId = pending.parameters.get('client_id');
      const arrival = { ...pending, endpoint: 'callback', transactionId } as const;
      const repeated = ['code', 'iss', 'error'].find((name) => parameters.faults.has(name));
      if (repeated !== undefined) {
        const error = malformed(repeated);
        return authorize(req, res, { ...arrival, kind: 'unreadable', keys: undefined, error });
      }
      const response = upstreamResponse(transactionId, parameters);
      await authorize(req, res, returnedArrival(req, res, options, { transactionId, transaction, response }));
    },
  );
}

/** Creates the arrival of a request whose user has come back from a provider. */
export function returnedArrival(
  req: Request,
  res: Response,
  { authenticate, resolveUser }: Pick<CallbackOptions, 'authenticate' | 'resolveUser'>,
  returned: Pick<ReturnedArrival, 'transactionId' | 'transaction' | 'response'>,
): ReturnedArrival {
  return {
    ...pendingRequest(returned.transaction),
    ...returned,
    kind: 'returned',
    endpoint: 'callback',
    signedInUser: () => signedInUser(authenticate, req),
    resolveUser: resolverFor(req, res, resolveUser),
  };
}

async function responseParameters(req: Request): Promise<Parameters> {
  const query = queryParameters(req.url);
  if (req.method !== 'POST') return query;
  refuseSecrets(query);
  return bodyParameters(req, { maximumLength: MAXIMUM_CALLBACK_LENGTH });
}

/** Restores the authorization request. The sign-in at the provider counts as a detour on which the user was asked. */
export function pendingRequest({ progress, entries }: ProviderTransaction) {
  return {
    parameters: parametersOf(entries),
    progress: { ...progress, detours: progress.detours + 1, asked: true },
  };
}

function upstreamResponse(state: string, parameters: Parameters) {
  return {
    state,
    code: parameters.get('code'),
    iss: parameters.get('iss'),
    error: parameters.get('error'),
    error_description: parameters.get('error_description'),
    user: parameters.get('user'),
  };
}

/** Asks the host's `resolveUser`, which gets the callback's request and response and must not send the response. */
function resolverFor(
  request: Request,
  response: Response,
  resolveUser: ResolveUser | undefined,
): ResolveReturnedUser {
  return async (identity, context) => {
    if (!resolveUser) throw serverError(new Error('there is no resolveUser'));
    const user = await callHost(() => resolveUser(identity, { ...context, request, response }));
    if (response.headersSent) throw serverError(new Error('resolveUser must not answer the request'));
    if (user) return user;
    throw accessDenied('The user is not known here', { reason: 'resolveUser found no user' });
  };
}

/** Creates the error for a malformed parameter, which has no value and would otherwise count as missing. */
function malformed(name: string): OAuthError {
  return new OAuthError('server_error', `The provider's answer is malformed`, {
    reason: `${name} is malformed`,
  });
}

/** Creates an error that is not redirected, because an attacker may have sent the browser here. */
export function stale(reason: string): OAuthError {
  return invalidRequest('This sign-in is over, or was begun in another browser', {
    reason: `callback: ${reason}`,
  });
}
