import type { Request, RequestHandler } from 'express';

import { OAuthError } from '../errors';
import { claimsIn } from '../grants/grant';
import type { UserLoader } from '../grants/token-issuer';
import type { LiveToken, TokenStatus } from '../grants/token-status';
import type { UserClaims } from '../grants/user-claims';
import { bodyParameters } from '../http/body';
import { endpoint, sendJson, type EndpointFrame } from '../http/endpoint';
import { queryParameters, refuseFaults, refuseSecrets } from '../http/parameters';
import { challenge } from '../resource/require-token';
import {
  challenged,
  invalidToken,
  presentedToken,
  type PresentedToken,
  type TokenCheck,
} from '../resource/token-check';
import type { Subjects } from '../tokens/subject';

interface UserinfoOptions<User> {
  check: TokenCheck;
  status: TokenStatus;
  subjects: Subjects;
  loadUser: UserLoader<User>;
  userClaims: UserClaims<User>;
  frame: EndpointFrame;
}

/**
 * `GET` and `POST /userinfo`. Any access token of this server with `openid` will do, for whatever audience it is: a client
 * gets one token, and this is about its user.
 *
 * @see OpenID Connect Core §5.3
 */
export function userinfoEndpoint<User>(options: UserinfoOptions<User>): RequestHandler {
  const { check, status, subjects, loadUser, userClaims, frame } = options;

  return endpoint(
    frame,
    { name: 'userinfo', methods: ['GET', 'POST'], cors: true },
    async (req, res, event) => {
      refuseSecrets(queryParameters(req.url));
      const presented = await tokenOf(req);
      if (!presented) return challenge(res);
      let live: LiveToken | undefined;
      const { sub: userId, scope: granted } = await check(req, res, presented, {
        scope: ['openid'],
        audience: undefined,
        isLive: async (claims) => {
          const { sub, client_id: clientId } = claims;
          Object.assign(event, { clientId, userId: sub });
          live = await status(claims);
          // A client that acts for itself is no user.
          return live !== undefined && sub !== clientId;
        },
      });
      if (!live) throw invalidToken('revoked');

      const { client, grant } = live;
      const scope = granted.split(' ');
      const context = { client, grantType: 'userinfo', userId, scope, resources: grant?.resources ?? [] };
      const user = await loadUser(userId, context).catch((thrown: unknown) => {
        const isGone = thrown instanceof OAuthError && thrown.code === 'invalid_grant';
        throw isGone ? challenged(invalidToken('loadUser found nobody'), presented.scheme) : thrown;
      });
      const requested = grant ? claimsIn(grant, client).userinfo : [];
      const given = await userClaims({ user, userId, client, scope, target: 'userinfo', requested });
      sendJson(res, { ...given, sub: subjects.sub(client, userId) });
    },
  );
}

/** RFC 6750 §2.1 and §2.2: in the header, or in a form; not in both. */
async function tokenOf(req: Request): Promise<PresentedToken | undefined> {
  const inHeader = presentedToken(req);
  if (req.method !== 'POST') return inHeader;
  const parameters = await bodyParameters(req);
  refuseFaults(parameters);
  const token = parameters.get('access_token');
  if (token === undefined) return inHeader;
  if (inHeader) throw new OAuthError('invalid_request', 'The access token must be sent in one way');
  return { scheme: 'Bearer', token };
}
