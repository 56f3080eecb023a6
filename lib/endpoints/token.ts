import type { RequestHandler } from 'express';

import type { Store } from '../adapters/store';
import type { ClientAuthentication } from '../clients/authentication';
import type { TokenEngine } from '../engine';
import { OAuthError } from '../errors';
import type { EventReporter } from '../events';
import { asGrant } from '../grants/grant';
import type { GrantType } from '../grants/grant-type';
import type { TokenSet } from '../grants/token-issuer';
import { bodyParameters } from '../http/body';
import { endpoint, sendJson } from '../http/endpoint';
import { queryParameters, refuseFaults, refuseSecrets, required } from '../http/parameters';

interface TokenEndpointOptions {
  grantTypes: readonly GrantType[];
  authentication: ClientAuthentication;
  engine: TokenEngine;
  store: Pick<Store, 'getGrant'>;
  reporter: EventReporter;
}

/** `POST /token`. @see RFC 6749 §3.2 and §5 */
export function tokenEndpoint(options: TokenEndpointOptions): RequestHandler {
  const { grantTypes, authentication, engine, store, reporter } = options;

  return endpoint({ name: 'token', methods: ['POST'], cors: true, reporter }, async (req, res, subject) => {
    refuseSecrets(queryParameters(req.url));
    const parameters = await bodyParameters(req);
    refuseFaults(parameters);

    const name = required(parameters, 'grant_type');
    const grantType = grantTypes.find((candidate) => candidate.name === name);
    if (!grantType) throw new OAuthError('unsupported_grant_type', 'The grant type is not supported');

    const reference = grantType.reference?.(parameters);
    const [client, stored] = await together(
      authentication.identify(req, parameters).authenticate(),
      reference && store.getGrant(reference.grantId),
    );
    subject.clientId = client.clientId;
    if (!client.grantTypes.includes(name)) {
      throw new OAuthError('unauthorized_client', 'The client is not registered for this grant type');
    }

    const grant = reference && asGrant(stored, reference.grantId);
    if (grant) Object.assign(subject, { grantId: grant.id, userId: grant.userId });
    const { tokens, body } = await engine.dispatch(name, { client, parameters, reference, grant, req });
    report(tokens, reporter);
    sendJson(res, body);
  });
}

/** Both in one wave; what the first throws goes before what the second does. */
async function together<A, B>(
  first: Promise<A>,
  second: Promise<B> | undefined,
): Promise<[A, B | undefined]> {
  // If the first fails nobody waits for the second, which may fail as well.
  second?.catch(() => undefined);
  return [await first, await second];
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
