import type { Client } from '../clients/client';
import type { UserClaims } from '../host/user-claims';
import type { Policies } from '../policy/policies';
import type { IdTokens } from '../tokens/id-token';
import type { Subjects } from '../tokens/subject';
import type { IssueRequest } from './issue-request';

/** Issues the ID token of a token response. Returns `undefined` if the request has no user. */
export type IdTokenIssuer<User> = (
  request: Omit<IssueRequest, 'idToken'> & {
    readonly idToken: NonNullable<IssueRequest['idToken']>;
    readonly user: User | undefined;
    readonly accessToken: string;
    /** Epoch seconds. */
    readonly iat: number;
  },
) => Promise<string | undefined>;

/** Whether a client does anything with the id of a session: it is notified when the session ends, or ends it itself. */
function usesSessions({ backchannelLogoutUri, postLogoutRedirectUris }: Client): boolean {
  return backchannelLogoutUri !== undefined || postLogoutRedirectUris.length > 0;
}

/** @see OpenID Connect Core §2 and §3.1.3.6 */
export function createIdTokenIssuer<User>(options: {
  idTokens: IdTokens;
  subjects: Subjects;
  userClaims: UserClaims<User>;
  policies: Policies;
}): IdTokenIssuer<User> {
  const { idTokens, subjects, userClaims, policies } = options;

  return async ({ context, idToken, authentication = {}, user, accessToken, iat }) => {
    const { client, userId, scope } = context;
    if (userId === undefined) return undefined;
    const { nonce, claims: requested } = idToken;
    const { authTime, acr, amr, sid } = authentication;
    const claims = {
      ...(await userClaims({ user, userId, client, scope, target: 'id_token', requested })),
      sub: subjects.sub(client, userId),
      aud: client.clientId,
      exp: iat + policies.idTokenLifetime(context),
      iat,
      ...(authTime !== undefined && { auth_time: authTime }),
      ...(nonce !== undefined && { nonce }),
      ...(acr !== undefined && { acr }),
      ...(amr !== undefined && { amr }),
      ...(sid !== undefined && usesSessions(client) && { sid: subjects.sid(client, sid) }),
    };
    return idTokens.issue(claims, { algorithms: policies.idTokenAlgorithms(client), accessToken });
  };
}
