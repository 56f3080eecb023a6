import type { RequestHandler } from 'express';

import { OAuthError } from '../errors';
import type { LinkTickets } from '../federation/link-tickets';
import type { LiveToken, TokenStatus } from '../grants/token-status';
import { endpoint, sendJson, type EndpointFrame } from '../http/endpoint';
import { queryParameters, refuseSecrets } from '../http/parameters';
import { challenge } from '../resource/require-token';
import { challenged, invalidToken, presentedToken, type TokenCheck } from '../resource/token-check';
import type { LinkTokens } from './link-token';

interface LinkTicketsOptions {
  check: TokenCheck;
  defaultAudience: string;
  linkScope: readonly string[];
  status: TokenStatus;
  linkTokens: LinkTokens;
  linkTickets: LinkTickets;
  frame: EndpointFrame;
}

/**
 * `POST /link_tickets`: a first-party app shows its user's access token, and gets what it may put into the URL of
 * `/authorize/:provider_id?type=link`.
 */
export function linkTicketsEndpoint(options: LinkTicketsOptions): RequestHandler {
  const { check, defaultAudience, linkScope, status, linkTokens, linkTickets, frame } = options;

  return endpoint(
    frame,
    { name: 'link_tickets', methods: ['POST'], cors: true },
    async (req, res, subject) => {
      refuseSecrets(queryParameters(req.url));
      const presented = presentedToken(req);
      if (!presented) return challenge(res);
      let live: LiveToken | undefined;
      const claims = await check(req, res, presented, {
        scope: linkScope,
        audience: defaultAudience,
        isLive: async (token) => {
          Object.assign(subject, { clientId: token.client_id, userId: token.sub });
          live = await status(token);
          // A client that acts for itself is no user.
          return live !== undefined && token.sub !== token.client_id;
        },
      });
      if (!live) throw invalidToken('revoked');
      const of = await linkTokens.ofAccessToken(claims, live).catch((thrown: unknown) => {
        const isGone = thrown instanceof OAuthError && thrown.code === 'login_required';
        throw isGone ? challenged(invalidToken('loadUser found nobody'), presented.scheme) : thrown;
      });
      const { ticket, expiresIn } = linkTickets.issue(of);
      sendJson(res, { ticket, expires_in: expiresIn });
    },
  );
}
