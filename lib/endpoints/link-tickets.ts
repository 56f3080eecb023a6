import type { RequestHandler } from 'express';

import { refuseThirdParty, type LinkTickets } from '../federation/link-tickets';
import type { TokenStatus } from '../grants/token-status';
import { endpoint, sendJson, type EndpointFrame } from '../http/endpoint';
import { queryParameters, refuseSecrets } from '../http/parameters';
import { challenge } from '../resource/require-token';
import { presentedToken, type TokenCheck } from '../resource/token-check';

interface LinkTicketsOptions {
  check: TokenCheck;
  status: TokenStatus;
  linkTickets: LinkTickets;
  frame: EndpointFrame;
}

/**
 * `POST /link_tickets`: a first-party app shows its user's access token, and gets what it may put into the URL of
 * `/authorize/:provider_id?type=link`.
 */
export function linkTicketsEndpoint(options: LinkTicketsOptions): RequestHandler {
  const { check, status, linkTickets, frame } = options;

  return endpoint(
    frame,
    { name: 'link_tickets', methods: ['POST'], cors: true },
    async (req, res, subject) => {
      refuseSecrets(queryParameters(req.url));
      const presented = presentedToken(req);
      if (!presented) return challenge(res);
      const { sub: userId, client_id: clientId } = await check(req, res, presented, {
        scope: [],
        audience: undefined,
        isLive: async (claims) => {
          const { sub, client_id: id } = claims;
          Object.assign(subject, { clientId: id, userId: sub });
          const live = await status(claims);
          if (live) refuseThirdParty(live.client);
          // A client that acts for itself is no user.
          return live !== undefined && sub !== id;
        },
      });
      const { ticket, expiresIn } = linkTickets.issue({ userId, clientId });
      sendJson(res, { ticket, expires_in: expiresIn });
    },
  );
}
