import type { RequestHandler } from 'express';

import { accessDenied, invalidRequest } from '../errors';
import type { ResolveUser } from '../federation/resolve-user';
import type { Authenticate } from '../host/authenticate';
import type { OAuthUser } from '../host/user';
import { formParameters } from '../http/body';
import { createEndpoint, type EndpointFrame, type RespondError } from '../http/endpoint';
import { required } from '../http/parameters';
import type { SealedJson } from '../tokens/sealed-json';
import type { Authorize } from './authorize';
import { pendingRequest, returnedArrival, stale } from './callback-endpoint';
import type { LinkForm } from './provider-return';
import type { ProviderTransactions } from './provider-transactions';

interface LinkOptions {
  authorize: Authorize;
  authenticate: Authenticate<OAuthUser>;
  transactions: ProviderTransactions;
  linkForms: SealedJson<LinkForm>;
  resolveUser: ResolveUser | undefined;
  frame: EndpointFrame;
  respondError: RespondError;
}

/** `POST /link`: receives the form of the page that asks whether to link an account. */
export function createLinkEndpoint(options: LinkOptions): RequestHandler {
  const { authorize, transactions, linkForms, frame, respondError } = options;

  return createEndpoint(
    frame,
    { name: 'link', methods: ['POST'], respond: respondError },
    async function link(req, res, event) {
      const parameters = await formParameters(req);
      const form = linkForms.open(required(parameters, 'request'));
      if (!form) throw invalidRequest('This page was open for too long');
      const answer = required(parameters, 'decision');
      if (answer !== 'allow' && answer !== 'deny') throw invalidRequest('decision is unknown');

      const { transactionId } = form;
      // Bound to the browser: no other site can post the form for it.
      const transaction = await transactions.take(req, transactionId);
      if (!transaction) throw stale('used before, or begun in another browser');
      const pending = pendingRequest(transaction);
      event.clientId = pending.parameters.get('client_id');
      if (answer === 'allow')
        return authorize(
          req,
          res,
          returnedArrival(req, res, options, { transactionId, transaction, response: undefined }),
        );
      const error = accessDenied('The user did not link the account');
      await authorize(req, res, {
        ...pending,
        kind: 'unreadable',
        endpoint: 'callback',
        transactionId,
        keys: undefined,
        error,
      });
    },
  );
}
