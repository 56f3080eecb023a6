import type { RequestHandler } from 'express';

import type { Store } from '../adapters/store';
import type { ClientAuthentication } from '../clients/authentication';
import type { ProofOfPossession } from '../clients/proof-of-possession';
import type { TokenEngine } from '../engine';
import { OAuthError } from '../errors';
import type { EventReporter } from '../events';
import { asGrant } from '../grants/grant';
import type { GrantType } from '../grants/grant-type';
import type { TokenSet } from '../grants/token-issuer';
import { bodyParameters } from '../http/body';
import { endpoint, sendJson, type EndpointFrame } from '../http/endpoint';
import { queryParameters, refuseFaults, refuseSecrets, required } from '../http/parameters';

interface TokenEndpointOptions {
  tokenUrl: string;
  grantTypes: readonly GrantType[];
  authentication: ClientAuthentication;
  possession: ProofOfPossession;
  engine: TokenEngine;
  store: Pick<Store, 'getGrant'>;
  reporter: EventReporter;
  frame: EndpointFrame;
}

/** `POST /token`. @see RFC 6749 §3.2 and §5, RFC 9449 §5 */
export function tokenEndpoint(options: TokenEndpointOptions): RequestHandler {
  const { tokenUrl, grantTypes, authentication, possession, engine, store, reporter, frame } = options;

  return endpoint(frame, { name: 'token', methods: ['POST'], cors: true }, async (req, res, subject) => {
    refuseSecrets(queryParameters(req.url));
    const parameters = await bodyParameters(req);
    refuseFaults(parameters);

    const name = required(parameters, 'grant_type');
    const grantType = grantTypes.find((candidate) => candidate.name === name);
    if (!grantType) throw new OAuthError('unsupported_grant_type', 'The grant type is not supported');

    const reference = grantType.reference?.(parameters);
    const proof = possession.read(req, tokenUrl);
    // One wave; an assertion's is one more.
    const [client, , stored] = await inOrder([
      authentication.identify(req, parameters).authenticate(),
      possession.once(proof),
      reference && store.getGrant(reference.grantId),
    ]);
    subject.clientId = client.clientId;
    if (!client.grantTypes.includes(name)) {
      throw new OAuthError('unauthorized_client', 'The client is not registered for this grant type');
    }

    const confirmation = possession.confirmation(req, res, client, proof);
    const grant = reference && asGrant(stored, reference.grantId);
    if (grant) Object.assign(subject, { grantId: grant.id, userId: grant.userId });
    const request = { client, parameters, reference, grant, confirmation, req };
    const { tokens, body } = await engine.dispatch(name, request);
    report(tokens, reporter);
    sendJson(res, body);
  });
}

/** All at once; of what they throw, that of the first counts. */
async function inOrder<A, B, C>(
  promises: readonly [Promise<A>, Promise<B>, Promise<C> | undefined],
): Promise<[A, B, C | undefined]> {
  // If one fails nobody waits for those after it, which may fail as well.
  for (const promise of promises) promise?.catch(() => undefined);
  const [first, second, third] = promises;
  return [await first, await second, await third];
}

function report({ context, grantId, jti, refreshToken }: TokenSet, reporter: EventReporter): void {
  const { client, userId, grantType, scope } = context;
  reporter.emit('token.issued', {
    clientId: client.clientId,
    userId,
    grantId,
    grantType,
    scope: scope.join(' '),
    jti,
    refreshToken: refreshToken !== undefined,
  });
}
