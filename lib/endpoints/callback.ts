import type { Request, RequestHandler, Response } from 'express';

import { OAuthError } from '../errors';
import { bodyParameters } from '../http/body';
import { endpoint, type EndpointFrame } from '../http/endpoint';
import { parametersOf, queryParameters, refuseSecrets } from '../http/parameters';
import type { Authorize } from './authorization';
import { providerPath } from './federation-request';
import type { ProviderTransactions } from './provider-transaction';

interface CallbackOptions {
  authorize: Authorize;
  transactions: ProviderTransactions;
  frame: EndpointFrame;
  respond: (req: Request, res: Response, error: OAuthError) => void;
}

/** Characters: some providers post more than a code. */
const MAXIMUM_LENGTH = 65_536;

/**
 * `GET` and `POST /callback/:provider_id`: a provider has answered. The authorization request that went there goes on.
 *
 * @see RFC 6749 §4.1.2, RFC 9207, OAuth 2.0 Form Post Response Mode
 */
export function callbackEndpoint(options: CallbackOptions): RequestHandler {
  const { authorize, transactions, frame, respond } = options;

  return endpoint(
    frame,
    { name: 'callback', methods: ['GET', 'POST'], respond },
    async (req, res, subject) => {
      const query = queryParameters(req.url);
      if (req.method === 'POST') refuseSecrets(query);
      const parameters =
        req.method === 'POST' ? await bodyParameters(req, { maximumLength: MAXIMUM_LENGTH }) : query;
      const state = parameters.get('state');
      const transaction = state === undefined ? undefined : await transactions.take(req, state);
      if (state === undefined || !transaction) throw stale('unknown, used before, or of another browser');
      // Before anything is said to any provider (RFC 9700 §4.4).
      if (transaction.providerId !== providerPath(req.path)?.providerId) throw stale('of another provider');

      const { progress, entries } = transaction;
      const resumed = {
        parameters: parametersOf(entries),
        progress: { ...progress, detours: progress.detours + 1, asked: true },
      };
      subject.clientId = resumed.parameters.get('client_id');
      const answer = {
        state,
        code: parameters.get('code'),
        iss: parameters.get('iss'),
        error: parameters.get('error'),
        error_description: parameters.get('error_description'),
        user: parameters.get('user'),
      };
      const repeated = ['code', 'iss', 'error'].find((name) => parameters.faults.has(name));
      const fault = repeated === undefined ? undefined : malformed(repeated);
      await authorize(req, res, { ...resumed, returned: { transaction, answer }, ...(fault && { fault }) });
    },
  );
}

/** One that is there twice has no value, and would pass for one that is not there. */
function malformed(name: string): OAuthError {
  return new OAuthError('server_error', `The provider's answer is malformed`, {
    reason: `${name} is malformed`,
  });
}

/** It may have been somebody else who sent the browser here: nothing is redirected. */
function stale(reason: string): OAuthError {
  return new OAuthError('invalid_request', 'This sign-in is over, or was begun in another browser', {
    reason: `callback: ${reason}`,
  });
}
