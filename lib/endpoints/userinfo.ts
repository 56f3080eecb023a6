import type { Request, RequestHandler } from 'express';

import { scopeValues } from '../clients/client';
import { invalidRequest } from '../errors';
import { claimsIn } from '../grants/grant';
import { userTokenStatus, type TokenStatus } from '../grants/status';
import type { UserLoader } from '../host/load-user';
import type { UserClaims } from '../host/user-claims';
import { formParameters } from '../http/body';
import { createEndpoint, sendJson, type EndpointFrame } from '../http/endpoint';
import { queryParameters, refuseSecrets } from '../http/parameters';
import { challenged, sendChallenge } from '../resource/challenge';
import { presentedToken, type PresentedToken } from '../resource/presented-token';
import { invalidToken, type TokenCheck } from '../resource/token-check';
import type { Subjects } from '../tokens/subject';

interface UserinfoOptions<User> {
  userinfoCheck: TokenCheck;
  status: TokenStatus;
  subjects: Subjects;
  loadUser: UserLoader<User>;
  userClaims: UserClaims<User>;
  frame: EndpointFrame;
}

/**
 * `GET` and `POST /userinfo`. It accepts every access token of this server that has `openid`, for any audience: a client gets one
 * token, and this endpoint describes its user.
 *
 * @see OpenID Connect Core §5.3
 */
export function createUserinfoEndpoint<User>(options: UserinfoOptions<User>): RequestHandler {
  const { userinfoCheck, status, subjects, loadUser, userClaims, frame } = options;

  return createEndpoint(
    frame,
    { name: 'userinfo', methods: ['GET', 'POST'], cors: true },
    async function userinfo(req, res, event) {
      const presented = await tokenOf(req);
      if (!presented) return sendChallenge(res);
      const { claims, status: active } = await userinfoCheck.ofRequest(req, res, presented, {
        scope: ['openid'],
        audience: undefined,
        statusOf: userTokenStatus(status, event),
      });

      const { sub: userId } = claims;
      const { client, grant } = active;
      const scope = scopeValues(claims.scope);
      const resources = grant?.resources ?? [];
      const loaded = await loadUser(userId, { purpose: 'userinfo', client, scope, resources });
      if (!loaded) throw challenged(invalidToken('for a user who does not exist'), presented.scheme);
      const requested = grant ? claimsIn(grant, client).userinfo : [];
      const visible = await userClaims({
        user: loaded.user,
        userId,
        client,
        scope,
        target: 'userinfo',
        requested,
      });
      sendJson(res, { ...visible, sub: subjects.sub(client, userId) });
    },
  );
}

/** Reads the access token from the header or from a form; it must not be in both (RFC 6750 §2.1 and §2.2). */
async function tokenOf(req: Request): Promise<PresentedToken | undefined> {
  const inHeader = presentedToken(req);
  if (req.method !== 'POST') {
    refuseSecrets(queryParameters(req.url));
    return inHeader;
  }
  const token = (await formParameters(req)).get('access_token');
  if (token === undefined) return inHeader;
  if (inHeader) throw invalidRequest('The access token must not be sent twice');
  return { scheme: 'Bearer', token };
}
