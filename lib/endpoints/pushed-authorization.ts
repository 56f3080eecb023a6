import type { RequestHandler, Response } from 'express';

import type { ClientAuthentication } from '../clients/authentication';
import type { Client } from '../clients/client';
import type { ProofOfPossession } from '../clients/proof-of-possession';
import type { ClientRegistry } from '../clients/registry';
import { OAuthError } from '../errors';
import type { Audiences } from '../grants/audiences';
import type { Policies } from '../grants/policy';
import { bodyParameters } from '../http/body';
import { endpoint, writeJson, type EndpointFrame } from '../http/endpoint';
import {
  only,
  queryParameters,
  refuseFaults,
  refuseSecrets,
  withParameter,
  type Parameters,
} from '../http/parameters';
import { noStore } from '../http/redirect';
import type { DpopProof } from '../tokens/dpop';
import type { IdTokens } from '../tokens/id-token';
import {
  authorizationRequest,
  grantContext,
  redirectTarget,
  REQUEST_PARAMETERS,
  type ResponseMode,
} from './authorization-request';
import { FEDERATION_PARAMETERS, type Providers } from './federation-request';
import type { PushedRequests } from './pushed-request';
import type { RequestObjects } from './request-object';

interface PushedAuthorizationOptions {
  pushUrl: string;
  authentication: ClientAuthentication;
  possession: ProofOfPossession;
  registry: ClientRegistry;
  requestObjects: RequestObjects;
  pushed: PushedRequests;
  audiences: Audiences;
  idTokens: IdTokens;
  providers: Providers;
  responseModes: readonly ResponseMode[];
  policies: Policies;
  allowHttp: boolean;
  frame: EndpointFrame;
}

/** What continues or carries another request is none of this one's. */
const PUSHED_PARAMETERS = [...REQUEST_PARAMETERS, ...FEDERATION_PARAMETERS].filter(
  (name) => !['request', 'request_uri', 'resume'].includes(name),
);

/** `POST /par`: an authorization request is checked and kept before the browser is involved. @see RFC 9126 §2 */
export function pushedAuthorizationEndpoint(options: PushedAuthorizationOptions): RequestHandler {
  const { pushUrl, authentication, possession, registry, requestObjects, pushed, policies, frame } = options;

  return endpoint(frame, { name: 'par', methods: ['POST'], cors: true }, async (req, res, subject) => {
    refuseSecrets(queryParameters(req.url));
    const body = await bodyParameters(req);
    refuseFaults(body);
    const proof = possession.read(req, pushUrl);
    const client = await authentication.identify(req, body).authenticate();
    subject.clientId = client.clientId;
    await possession.once(proof);
    if (body.get('request_uri') !== undefined) {
      throw new OAuthError('invalid_request', 'request_uri must not be pushed');
    }

    const signed = body.get('request') !== undefined;
    const named = withParameter(body, 'client_id', client.clientId);
    const given = only(signed ? await requestObjects(named) : named, PUSHED_PARAMETERS);
    const parameters = proof ? boundToKey(given, proof, res, client) : given;
    const target = await redirectTarget(parameters, registry, options);
    // In this moment it is being pushed.
    const request = authorizationRequest(target, parameters, { pushedId: '', signed }, options);

    const lifetime = policies.pushedRequestLifetime(grantContext(request));
    const requestUri = await pushed.push(client.clientId, { parameters, signed }, lifetime);
    noStore(res);
    writeJson(res, 201, { request_uri: requestUri, expires_in: lifetime });
  });

  /** RFC 9449 §10.1: a proof here does what `dpop_jkt` does. */
  function boundToKey(parameters: Parameters, proof: DpopProof, res: Response, client: Client): Parameters {
    possession.accept(res, client, proof);
    const jkt = parameters.get('dpop_jkt');
    if (jkt !== undefined && jkt !== proof.jkt) {
      throw new OAuthError('invalid_dpop_proof', 'The DPoP proof is for another key than dpop_jkt');
    }
    return withParameter(parameters, 'dpop_jkt', proof.jkt);
  }
}
