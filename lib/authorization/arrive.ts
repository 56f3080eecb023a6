import type { Request } from 'express';

import { claimedClientId } from '../clients/client';
import type { ClientIdentification } from '../clients/identification';
import { asOAuthError, invalidRequest, OAuthError } from '../errors';
import type { EventIdentifiers } from '../events';
import { bodyParameters } from '../http/body';
import { queryParameters, refuseSecrets, withParameter, type Parameters } from '../http/parameters';
import type { RequestArrival, UnreadableArrival } from './arrival';
import type { PendingRequest } from './progress';
import { namesProvider, type Providers } from './provider-parameters';
import { isPushedRequestUri, type PushedRequests } from './pushed-requests';
import { relevantParameters } from './relevant-parameters';
import type { RequestObjects } from './request-object';
import { RESUME, type Resuming } from './resuming';

/**
 * Reads the request at the authorization endpoint: new, signed, pushed before, or continued after the login.
 *
 * @throws OAuthError that must not be redirected
 */
export type Arrive = (req: Request, event: EventIdentifiers) => Promise<RequestArrival | UnreadableArrival>;

interface ArriveOptions {
  identification: ClientIdentification;
  resuming: Resuming;
  pushedRequests: PushedRequests;
  requestObjects: RequestObjects;
  providers: Providers;
  /** The provider of requests that name none. */
  defaultProvider: string | undefined;
  jsonRedirectParameter: string | undefined;
  clock: () => number;
}

export function createArrive(options: ArriveOptions): Arrive {
  const { jsonRedirectParameter: jsonParameter } = options;
  const { identification, resuming, pushedRequests, requestObjects, providers, defaultProvider, clock } =
    options;

  return async (req, event) => {
    const { providerId } = req.params as { providerId?: string };
    const query = queryParameters(req.url);
    if (req.method === 'POST') refuseSecrets(query);
    const sent = req.method === 'POST' ? await bodyParameters(req) : query;
    const given = named(req, sent, providerId);
    refuseForeignSecrets(given);
    event.clientId = claimedClientId(given.get('client_id'));

    const keys = isContinued(given)
      ? undefined
      : identification.publishableKeys(req, given.get('client_secret'));
    const { error, ...found } = await read(req, relevantParameters(given, providers));
    const pending = { ...found, parameters: withDefaultProvider(found.parameters) };
    const asJson = jsonParameter !== undefined && given.get(jsonParameter) === 'json';
    const arrival = { endpoint: 'authorize', keys, asJson, ...pending } as const;
    if (error) return { ...arrival, kind: 'unreadable', error };
    // A pushed, signed or continued request names its provider in its own parameters.
    if (providerId !== undefined && pending.parameters.get('connection') !== providerId)
      throw invalidRequest('connection differs from the provider in the path');
    return { ...arrival, kind: 'request' };
  };

  async function read(req: Request, given: Parameters): Promise<PendingRequest & { error?: OAuthError }> {
    if (given.get(RESUME) !== undefined || given.faults.has(RESUME)) return resuming.resume(given);
    const requestUri = given.get('request_uri');
    if (isPushedRequestUri(requestUri)) return pushedRequests.find(given);
    const arrived: PendingRequest = {
      parameters: given,
      progress: { startedAt: clock(), detours: 0 },
    };
    if (requestUri !== undefined) {
      const description = 'request_uri must come from a pushed request';
      return { ...arrived, error: new OAuthError('request_uri_not_supported', description) };
    }
    return given.get('request') === undefined ? arrived : readSigned(req, arrived);
  }

  async function readSigned(
    req: Request,
    arrived: PendingRequest,
  ): Promise<PendingRequest & { error?: OAuthError }> {
    try {
      const parameters = relevantParameters(await requestObjects(req, arrived.parameters), providers);
      return { parameters, progress: { ...arrived.progress, signed: true } };
    } catch (thrown) {
      return { ...arrived, error: asOAuthError(thrown) };
    }
  }

  function withDefaultProvider(parameters: Parameters): Parameters {
    const isNamed = parameters.get('connection') !== undefined || parameters.faults.has('connection');
    return isNamed || defaultProvider === undefined
      ? parameters
      : withParameter(parameters, 'connection', defaultProvider);
  }

  /** Adds the parameters that a request may give in other places: the client in a header, the provider in the path. */
  function named(req: Request, sent: Parameters, providerId: string | undefined): Parameters {
    const clientId = identification.clientId(req, sent);
    const withClient = clientId === undefined ? sent : withParameter(sent, 'client_id', clientId);
    const isWhole = [RESUME, 'request', 'request_uri', 'connection'].some((name) => sent.get(name));
    return providerId === undefined || isWhole
      ? withClient
      : withParameter(withClient, 'connection', providerId);
  }

  /** Refuses secrets except `client_secret` and `token`, which have a meaning here and are checked once the client is known. */
  function refuseForeignSecrets(given: Parameters): void {
    const allowed = [
      ...(isContinued(given) ? [] : ['client_secret']),
      ...(namesProvider(given, providers) ? ['token'] : []),
    ].filter((name) => !given.faults.has(name));
    refuseSecrets(given, { allowed });
  }
}

/** Whether a request was sent, and checked, before. */
function isContinued(given: Parameters): boolean {
  return given.get(RESUME) !== undefined || isPushedRequestUri(given.get('request_uri'));
}
