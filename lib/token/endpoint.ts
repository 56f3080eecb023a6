import type { RequestHandler } from 'express';

import type { Store } from '../adapters/store';
import type { ClientAuthentication } from '../clients/authentication';
import type { ProofOfPossession } from '../clients/proof-of-possession';
import type { TokenEngine } from '../engine';
import { OAuthError, unauthorizedClient } from '../errors';
import type { EventReporter } from '../event-reporter';
import { formParameters } from '../http/body';
import { createEndpoint, sendJson, type EndpointFrame } from '../http/endpoint';
import { refuseFaults, required } from '../http/parameters';
import type { GrantType } from './grant-type';
import type { TokenSet } from './issuer';

interface TokenEndpointOptions {
  tokenUrl: string;
  /** By the value of `grant_type`. */
  grantTypes: ReadonlyMap<string, GrantType>;
  authentication: ClientAuthentication;
  possession: ProofOfPossession;
  engine: TokenEngine;
  store: Pick<Store, 'getGrant'>;
  reporter: EventReporter;
  frame: EndpointFrame;
}

/** `POST /token`. @see RFC 6749 §3.2 and §5, RFC 9449 §5 */
export function createTokenEndpoint(options: TokenEndpointOptions): RequestHandler {
  const { tokenUrl, grantTypes, authentication, possession, engine, store, reporter, frame } = options;

  return createEndpoint(
    frame,
    { name: 'token', methods: ['POST'], cors: true },
    async function token(req, res, event) {
      const parameters = await formParameters(req);
      const grantType = grantTypes.get(required(parameters, 'grant_type'));
      if (!grantType) throw new OAuthError('unsupported_grant_type', 'The grant type is not supported');
      // The host's function may know parameters that this server does not.
      if (grantType.readsAllParameters) refuseFaults(parameters, { all: true });

      const reference = grantType.reference?.(parameters);
      const proof = possession.read(req, tokenUrl);
      // A code or refresh token that was not issued here is not worth another server's time; a grant type of the host may be.
      const isUsed = reference !== undefined;
      const mayFetch = isUsed || grantType.readsAllParameters === true;
      // One round trip; a client assertion adds another.
      const [client, , grant] = await inOrder([
        authentication.identify(req, parameters, { mayFetch, isUsed }).authenticate(),
        proof && possession.once(proof),
        reference && store.getGrant(reference.grantId),
      ]);
      event.clientId = client.clientId;
      if (!client.grantTypes.includes(grantType.name)) {
        throw unauthorizedClient('The client is not registered for this grant type');
      }

      const confirmation = possession.confirmation(req, res, client, proof);
      if (grant) Object.assign(event, { grantId: grant.id, userId: grant.userId });
      const request = { client, parameters, reference, grant, confirmation, req };
      const { tokens, body } = await engine.dispatch(grantType, request);
      report(tokens, reporter);
      sendJson(res, body);
    },
  );
}

/** Waits for all promises. If several reject, the error of the first in the list is thrown. */
async function inOrder<A, B, C>(
  promises: readonly [Promise<A>, Promise<B> | undefined, Promise<C> | undefined],
): Promise<[A, B | undefined, C | undefined]> {
  const [first, second, third] = promises;
  // When one rejects, the later ones are not awaited and may reject too.
  second?.catch(() => undefined);
  third?.catch(() => undefined);
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
