import type { Request, RequestHandler, Response } from 'express';

import type { ClientIdentification } from '../clients/identification';
import { asOAuthError, OAuthError } from '../errors';
import { bodyParameters } from '../http/body';
import { endpoint, type EndpointFrame } from '../http/endpoint';
import { only, queryParameters, refuseSecrets, withParameter, type Parameters } from '../http/parameters';
import type { Authorize } from './authorization';
import { REQUEST_PARAMETERS } from './authorization-request';
import {
  FEDERATION_PARAMETERS,
  isFederatedRequest,
  providerPath,
  type Providers,
} from './federation-request';
import { isPushedRequestUri, type PushedRequests } from './pushed-request';
import type { RequestObjects } from './request-object';
import type { Resumed, Resumption } from './resumption';

interface AuthorizationEndpointOptions {
  authorize: Authorize;
  identification: ClientIdentification;
  resumption: Resumption;
  pushed: PushedRequests;
  requestObjects: RequestObjects;
  providers: Providers;
  frame: EndpointFrame;
  respond: (req: Request, res: Response, error: OAuthError) => void;
}

/**
 * `GET` and `POST /authorize`, and `/authorize/:provider_id`, which says `connection` in the path.
 *
 * @see RFC 6749 §3.1 and §4.1, RFC 9207
 */
export function authorizationEndpoint(options: AuthorizationEndpointOptions): RequestHandler {
  const { authorize, identification, resumption, pushed, requestObjects, providers, frame, respond } =
    options;

  /** As it came; continued; pushed before; or signed. */
  async function arrive(parameters: Parameters): Promise<Resumed> {
    const resumed = parameters.get('resume') ?? parameters.faults.get('resume');
    if (resumed !== undefined) return resumption.arrive(parameters);
    const requestUri = parameters.get('request_uri');
    if (isPushedRequestUri(requestUri)) return pushed.arrive(parameters);
    const arrived = await resumption.arrive(parameters);
    if (requestUri !== undefined) {
      const fault = new OAuthError(
        'request_uri_not_supported',
        'request_uri must come from a pushed request',
      );
      return { ...arrived, fault };
    }
    if (parameters.get('request') === undefined) return arrived;
    try {
      return {
        parameters: await requestObjects(parameters),
        progress: { ...arrived.progress, signed: true },
      };
    } catch (thrown) {
      return { ...arrived, fault: asOAuthError(thrown) };
    }
  }

  /** What was pushed, signed or begun before says itself which provider it is for; any other request by its path, too. */
  function completed(req: Request, given: Parameters): Parameters {
    const clientId = identification.clientId(req, given);
    const named = clientId === undefined ? given : withParameter(given, 'client_id', clientId);
    const { providerId } = providerPath(req.path) ?? {};
    const isWhole = ['resume', 'request', 'request_uri', 'connection'].some((name) => given.get(name));
    return providerId === undefined || isWhole ? named : withParameter(named, 'connection', providerId);
  }

  /** What is not read is not kept either: `token` above all. */
  function relevant(parameters: Parameters): Parameters {
    const federated = isFederatedRequest(parameters, providers) ? FEDERATION_PARAMETERS : [];
    return only(parameters, [...REQUEST_PARAMETERS, ...federated]);
  }

  /** Both have a meaning here, which is looked at where the client is known. */
  function refuseSecretsOf(given: Parameters): void {
    const allowed = [
      ...(isContinued(given) ? [] : ['client_secret']),
      ...(isFederatedRequest(given, providers) ? ['token'] : []),
    ].filter((name) => !given.faults.has(name));
    refuseSecrets(given, { allowed });
  }

  return endpoint(
    frame,
    { name: 'authorize', methods: ['GET', 'POST'], respond },
    async (req, res, subject) => {
      const query = queryParameters(req.url);
      if (req.method === 'POST') refuseSecrets(query);
      const given = completed(req, req.method === 'POST' ? await bodyParameters(req) : query);
      refuseSecretsOf(given);
      subject.clientId = given.get('client_id');
      const resumed = await arrive(relevant(given));
      const parameters = relevant(resumed.parameters);
      const { providerId } = providerPath(req.path) ?? {};
      const isOther = parameters.get('connection') !== providerId;
      if (providerId !== undefined && isOther && !resumed.fault) {
        throw new OAuthError('invalid_request', 'connection differs from the provider in the path');
      }
      const keys = identification.publishableKeys(req, given.get('client_secret'));
      await authorize(req, res, { ...resumed, parameters, ...(!isContinued(given) && { keys }) });
    },
  );
}

/** Whether what is asked has been said, and looked at, before. */
function isContinued(given: Parameters): boolean {
  return given.get('resume') !== undefined || isPushedRequestUri(given.get('request_uri'));
}
