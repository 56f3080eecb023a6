import type { RequestHandler, Response } from 'express';

import type { ClientAuthentication } from '../clients/authentication';
import type { Client } from '../clients/client';
import type { ClientRegistry } from '../clients/registry';
import type { ProofOfPossession } from '../clients/proof-of-possession';
import { invalidRequest, OAuthError } from '../errors';
import { formParameters } from '../http/body';
import { createEndpoint, sendJson, type EndpointFrame } from '../http/endpoint';
import { only, withParameter, type Parameters } from '../http/parameters';
import type { Policies } from '../policy/policies';
import type { DpopProof } from '../tokens/dpop';
import { PROVIDER_PARAMETERS, type Providers } from './provider-parameters';
import type { PushedRequests } from './pushed-requests';
import { relevantParameters } from './relevant-parameters';
import { refuseImplausible, type FindTarget } from './redirect-target';
import { grantContext, REQUEST_PARAMETERS, type Validate } from './request';
import { unverifiedParameters, type RequestObjects } from './request-object';

interface PushedRequestEndpointOptions {
  parUrl: string;
  authentication: ClientAuthentication;
  possession: ProofOfPossession;
  findTarget: FindTarget;
  validate: Validate;
  requestObjects: RequestObjects;
  pushedRequests: PushedRequests;
  providers: Providers;
  policies: Policies;
  registry: Pick<ClientRegistry, 'mayBeDocument'>;
  allowHttp: boolean;
  frame: EndpointFrame;
}

/** Returns the parameters of a request, which may be signed: nobody has verified them. */
function requested(body: Parameters): Parameters {
  const object = body.get('request');
  return object === undefined ? body : unverifiedParameters(object);
}

/** Parameters that continue or contain another request cannot be pushed. */
const PUSHED_PARAMETERS = [...REQUEST_PARAMETERS, ...PROVIDER_PARAMETERS].filter(
  (name) => !['request', 'request_uri', 'resume'].includes(name),
);

/** `POST /par`: checks and stores an authorization request before the browser is involved. @see RFC 9126 §2 */
export function createPushedRequestEndpoint(options: PushedRequestEndpointOptions): RequestHandler {
  const { parUrl, authentication, possession, findTarget, validate, requestObjects, providers } = options;
  const { pushedRequests, policies, registry, allowHttp, frame } = options;

  return createEndpoint(
    frame,
    { name: 'par', methods: ['POST'], cors: true },
    async function pushedRequest(req, res, event) {
      const body = await formParameters(req);
      const proof = possession.read(req, parUrl);
      const { clientIds, authenticate } = authentication.identify(req, body);
      if (clientIds.some((clientId) => registry.mayBeDocument(clientId)))
        refuseImplausible(requested(body), allowHttp);
      const client = await authenticate();
      event.clientId = client.clientId;
      if (proof) await possession.once(proof);
      if (body.get('request_uri') !== undefined) throw invalidRequest('request_uri must not be pushed');

      const signed = body.get('request') !== undefined;
      const named = withParameter(body, 'client_id', client.clientId);
      const given = only(signed ? await requestObjects(req, named) : named, PUSHED_PARAMETERS);
      const relevant = relevantParameters(given, providers);
      const parameters = proof ? boundToKey(relevant, proof, res, client) : relevant;
      const target = await findTarget(req, parameters);
      // The request counts as pushed, because this endpoint stores it as a pushed request.
      const request = validate(target, parameters, { pushedId: '', signed });

      const lifetime = policies.pushedRequestLifetime(grantContext(request));
      const requestUri = await pushedRequests.push(client.clientId, { parameters, signed }, lifetime);
      sendJson(res, { request_uri: requestUri, expires_in: lifetime }, 201);
    },
  );

  /** Binds a request to the key of its DPoP proof, which has the effect of `dpop_jkt` (RFC 9449 §10.1). */
  function boundToKey(parameters: Parameters, proof: DpopProof, res: Response, client: Client): Parameters {
    possession.accept(res, client, proof);
    const jkt = parameters.get('dpop_jkt');
    if (jkt !== undefined && jkt !== proof.jkt)
      throw new OAuthError('invalid_dpop_proof', 'The DPoP proof is for another key than dpop_jkt');
    return withParameter(parameters, 'dpop_jkt', proof.jkt);
  }
}
