import type { RequestHandler } from 'express';

import type { Store } from '../adapters/store';
import type { ClientAuthentication } from '../clients/authentication';
import type { Client } from '../clients/client';
import { OAuthError } from '../errors';
import type { EventReporter } from '../events';
import { asGrant, subjectOf } from '../grants/grant';
import { bodyParameters } from '../http/body';
import { endpoint, sendJson, type EndpointFrame } from '../http/endpoint';
import { queryParameters, refuseFaults, refuseSecrets, required } from '../http/parameters';
import { REVOCATION_GRACE, revocationKey } from '../grants/token-status';
import type { AccessTokenClaims, AccessTokens } from '../tokens/access-token';
import type { GrantTokens } from '../tokens/grant-token';

interface RevocationEndpointOptions {
  authentication: ClientAuthentication;
  store: Store;
  grantTokens: GrantTokens;
  accessTokens: AccessTokens;
  clock: () => number;
  reporter: EventReporter;
  frame: EndpointFrame;
}

/** `POST /revoke`. @see RFC 7009 §2 */
export function revocationEndpoint(options: RevocationEndpointOptions): RequestHandler {
  const { authentication, store, grantTokens, accessTokens, clock, reporter, frame } = options;

  return endpoint(frame, { name: 'revoke', methods: ['POST'], cors: true }, async (req, res, subject) => {
    refuseSecrets(queryParameters(req.url));
    const parameters = await bodyParameters(req);
    refuseFaults(parameters);
    const client = await authentication.identify(req, parameters).authenticate();
    subject.clientId = client.clientId;
    const token = required(parameters, 'token');

    // The form of a token tells its kind: `token_type_hint` is not needed (RFC 7009 §2.1).
    const reference = grantTokens.readRefreshToken(token) ?? grantTokens.readCode(token);
    const claims = reference ? undefined : accessTokens.read(token);
    if (reference) await revokeGrant(reference.grantId, client);
    else if (claims) await revokeAccessToken(claims, client);

    // RFC 7009 §2.2: an unknown token is a success. Clients ignore the body, but some insist that it is JSON.
    sendJson(res, {});
  });

  async function revokeGrant(grantId: string, client: Client): Promise<void> {
    const grant = asGrant(await store.getGrant(grantId), grantId);
    if (!grant) return;
    refuseForeign(grant.clientId, client);
    await store.revokeGrant(grantId);
    reporter.emit('grant.revoked', { ...subjectOf(grant), reason: 'revoked by the client' });
  }

  async function revokeAccessToken(claims: AccessTokenClaims, client: Client): Promise<void> {
    refuseForeign(claims.client_id, client);
    const remaining = Math.ceil(claims.exp - clock() / 1000) + REVOCATION_GRACE;
    if (remaining <= 0) return;
    await store.put(revocationKey(claims.jti), '1', remaining);
    reporter.emit('access_token.revoked', { clientId: client.clientId, jti: claims.jti });
  }
}

function refuseForeign(clientId: string, client: Client): void {
  if (clientId !== client.clientId) {
    throw new OAuthError('invalid_grant', 'The token was issued to another client', {
      reason: 'foreign token',
    });
  }
}
