import type { RequestHandler } from 'express';

import { scopeValues, type Client } from '../clients/client';
import { refuseThirdParty, type LinkTickets } from '../federation/link-tickets';
import type { UserLoader } from '../grants/token-issuer';
import type { TokenStatus } from '../grants/token-status';
import { endpoint, sendJson, type EndpointFrame } from '../http/endpoint';
import { queryParameters, refuseSecrets } from '../http/parameters';
import { challenge } from '../resource/require-token';
import { invalidToken, presentedToken, type TokenCheck } from '../resource/token-check';

interface LinkTicketsOptions {
  check: TokenCheck;
  /** Of the host's own API: a token for another one must not open an account. */
  audience: string;
  loadUser: UserLoader<unknown>;
  status: TokenStatus;
  linkTickets: LinkTickets;
  frame: EndpointFrame;
}

/**
 * `POST /link_tickets`: a first-party app shows its user's access token, and gets what it may put into the URL of
 * `/authorize/:provider_id?type=link`.
 */
export function linkTicketsEndpoint(options: LinkTicketsOptions): RequestHandler {
  const { check, audience, loadUser, status, linkTickets, frame } = options;

  return endpoint(
    frame,
    { name: 'link_tickets', methods: ['POST'], cors: true },
    async (req, res, subject) => {
      refuseSecrets(queryParameters(req.url));
      const presented = presentedToken(req);
      if (!presented) return challenge(res);
      let client: Client | undefined;
      const { sub: userId, scope: granted } = await check(req, res, presented, {
        scope: [],
        audience,
        isLive: async (claims) => {
          const { sub, client_id: id } = claims;
          Object.assign(subject, { clientId: id, userId: sub });
          const live = await status(claims);
          client = live?.client;
          if (client) refuseThirdParty(client);
          // A client that acts for itself is no user.
          return live !== undefined && sub !== id;
        },
      });
      if (!client) throw invalidToken('revoked');
      const scope = scopeValues(granted);
      await loadUser(userId, { client, grantType: 'link_ticket', userId, scope, resources: [audience] });
      const { ticket, expiresIn } = linkTickets.issue({ userId, clientId: client.clientId, scope });
      sendJson(res, { ticket, expires_in: expiresIn });
    },
  );
}
