import type { RequestHandler } from 'express';

import { userTokenStatus, type TokenStatus } from '../grants/status';
import { createEndpoint, sendJson, type EndpointFrame } from '../http/endpoint';
import { queryParameters, refuseSecrets } from '../http/parameters';
import { challenged, sendChallenge } from '../resource/challenge';
import { presentedToken } from '../resource/presented-token';
import { invalidToken, type TokenCheck } from '../resource/token-check';
import type { LinkTokens } from './link-token';
import type { LinkTickets } from './tickets';

interface LinkTicketOptions {
  linkTicketCheck: TokenCheck;
  defaultAudience: string;
  linkScope: readonly string[];
  status: TokenStatus;
  linkTokens: LinkTokens;
  linkTickets: LinkTickets;
  frame: EndpointFrame;
}

/**
 * `POST /link_tickets`: exchanges a user's access token, presented by a first-party app, for a ticket that may appear in the URL of
 * `/authorize/:provider_id?type=link`.
 */
export function createLinkTicketEndpoint(options: LinkTicketOptions): RequestHandler {
  const { linkTicketCheck, defaultAudience, linkScope, status, linkTokens, linkTickets } = options;

  return createEndpoint(
    options.frame,
    { name: 'link_tickets', methods: ['POST'], cors: true },
    async function linkTicket(req, res, event) {
      refuseSecrets(queryParameters(req.url));
      const presented = presentedToken(req);
      if (!presented) return sendChallenge(res);
      const { claims, status: active } = await linkTicketCheck.ofRequest(req, res, presented, {
        scope: linkScope,
        audience: defaultAudience,
        statusOf: userTokenStatus(status, event),
      });
      const permission = await linkTokens.ofAccessToken(claims, active);
      if (!permission) throw challenged(invalidToken('for a user who does not exist'), presented.scheme);
      const { ticket, expiresIn } = linkTickets.issue(permission);
      sendJson(res, { ticket, expires_in: expiresIn });
    },
  );
}
