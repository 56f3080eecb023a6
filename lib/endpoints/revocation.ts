import type { RequestHandler } from 'express';

import type { Store } from '../adapters/store';
import type { ClientAuthentication } from '../clients/authentication';
import type { Client } from '../clients/client';
import { invalidGrant } from '../errors';
import type { EventReporter } from '../event-reporter';
import { identifiersOf } from '../grants/grant';
import { revoke, writeMark } from '../grants/import-mark';
import { REVOCATION_GRACE, revocationKey } from '../grants/status';
import { formParameters } from '../http/body';
import { createEndpoint, sendJson, type EndpointFrame } from '../http/endpoint';
import { required } from '../http/parameters';
import type { ImportedRefreshTokens } from '../token/imported-refresh-token';
import type { AccessTokenClaims, AccessTokens } from '../tokens/access-token';
import type { GrantTokens } from '../tokens/grant-token';

interface RevocationOptions {
  authentication: ClientAuthentication;
  store: Pick<Store, 'getGrant' | 'revokeGrant' | 'put'>;
  grantTokens: GrantTokens;
  accessTokens: AccessTokens;
  importedRefreshTokens?: ImportedRefreshTokens | undefined;
  clock: () => number;
  reporter: EventReporter;
  frame: EndpointFrame;
}

/** `POST /revoke`. @see RFC 7009 §2 */
export function createRevocationEndpoint(options: RevocationOptions): RequestHandler {
  const { authentication, store, grantTokens, accessTokens, importedRefreshTokens, clock, reporter, frame } =
    options;

  return createEndpoint(
    frame,
    { name: 'revoke', methods: ['POST'], cors: true },
    async function revoke(req, res, event) {
      const parameters = await formParameters(req);
      const token = parameters.get('token') ?? '';
      // The form of a token shows its kind: `token_type_hint` is not needed (RFC 7009 §2.1).
      const reference = grantTokens.readRefreshToken(token) ?? grantTokens.readCode(token);
      const claims = reference ? undefined : accessTokens.read(token);
      const mayFetch = reference !== undefined || claims !== undefined;
      const client = await authentication.identify(req, parameters, { mayFetch }).authenticate();
      event.clientId = client.clientId;
      required(parameters, 'token');
      if (reference) await revokeGrant(reference.grantId, client);
      else if (claims) await revokeAccessToken(claims, client);
      else await revokeImported(token, client);

      // RFC 7009 §2.2: an unknown token is a success. Clients ignore the body, but some require JSON.
      sendJson(res, {});
    },
  );

  async function revokeGrant(grantId: string, client: Client): Promise<void> {
    const grant = await store.getGrant(grantId);
    if (!grant) return;
    refuseForeign(grant.clientId, client);
    await revoke(store, grant);
    reporter.emit('grant.revoked', { ...identifiersOf(grant), reason: 'revoked by the client' });
  }

  async function revokeImported(token: string, client: Client): Promise<void> {
    const imported = await importedRefreshTokens?.find(token, client);
    if (!imported) return;
    const { grantId } = imported.reference;
    const grant = await store.getGrant(grantId);
    if (grant) refuseForeign(grant.clientId, client);
    await writeMark(store, grantId, 'ended');
    // Read again, because a parallel request may have begun it until then.
    await revokeGrant(grantId, client);
  }

  async function revokeAccessToken(claims: AccessTokenClaims, client: Client): Promise<void> {
    refuseForeign(claims.client_id, client);
    const remaining = Math.ceil(claims.exp - clock() / 1000) + REVOCATION_GRACE;
    if (remaining <= 0) return;
    const bySecret = accessTokens.isSignedBySecret(claims);
    await store.put(revocationKey(claims.jti, { bySecret }), '1', remaining);
    reporter.emit('access_token.revoked', { clientId: client.clientId, jti: claims.jti });
  }
}

function refuseForeign(clientId: string, client: Client): void {
  if (clientId === client.clientId) return;
  throw invalidGrant('The token was issued to another client', { reason: 'issued to another client' });
}
