import type { RequestHandler } from 'express';

import type { Store } from '../adapters/store';
import type { ClientAuthentication } from '../clients/authentication';
import type { Client } from '../clients/client';
import { OAuthError } from '../errors';
import { asGrant, refreshExpiryOf, stands } from '../grants/grant';
import { bodyParameters } from '../http/body';
import { endpoint, sendJson, type EndpointFrame } from '../http/endpoint';
import { queryParameters, refuseFaults, refuseSecrets, required } from '../http/parameters';
import type { TokenStatus } from '../grants/token-status';
import { audiences, type AccessTokenClaims, type AccessTokens } from '../tokens/access-token';
import type { GrantReference, GrantTokens } from '../tokens/grant-token';
import type { Subjects } from '../tokens/subject';

interface IntrospectionEndpointOptions {
  issuer: string;
  authentication: ClientAuthentication;
  store: Pick<Store, 'getGrant'>;
  status: TokenStatus;
  grantTokens: GrantTokens;
  accessTokens: AccessTokens;
  subjects: Subjects;
  clock: () => number;
  frame: EndpointFrame;
}

type Answer = Readonly<Record<string, unknown>>;

/** RFC 7662 §2.2: nothing else, whatever the reason. */
const INACTIVE: Answer = { active: false };

/** `POST /introspect`. @see RFC 7662 §2 */
export function introspectionEndpoint(options: IntrospectionEndpointOptions): RequestHandler {
  const { issuer, authentication, store, status, grantTokens, accessTokens, subjects, clock, frame } =
    options;

  return endpoint(frame, { name: 'introspect', methods: ['POST'] }, async (req, res) => {
    refuseSecrets(queryParameters(req.url));
    const parameters = await bodyParameters(req);
    refuseFaults(parameters);
    const token = required(parameters, 'token');
    const { authenticate } = authentication.identify(req, parameters);

    const reference = grantTokens.readRefreshToken(token);
    const claims = reference ? undefined : accessTokens.read(token);
    // The client and all that decides on the token, in one wave.
    const [client, answer] = await Promise.all([
      authenticate().then(confidential),
      reference ? refreshTokenAnswer(reference) : accessTokenAnswer(claims),
    ]);
    sendJson(res, answer(client));
  });

  async function accessTokenAnswer(
    claims: AccessTokenClaims | undefined,
  ): Promise<(client: Client) => Answer> {
    if (!claims || !(await status(claims))) return () => INACTIVE;
    return (client) => {
      const own = claims.client_id === client.clientId;
      const forIts = audiences(claims).some((audience) => client.introspectionAudiences.includes(audience));
      if (!own && !forIts) return INACTIVE;
      const tokenType = claims.cnf?.jkt === undefined ? 'Bearer' : 'DPoP';
      // A client sees users as its ID tokens name them; a resource server as the host does.
      const isUser = claims.sub !== claims.client_id;
      const sub = own && !forIts && isUser ? subjects.sub(client, claims.sub) : claims.sub;
      return { ...claims, sub, active: true, token_type: tokenType };
    };
  }

  async function refreshTokenAnswer({
    grantId,
    generation,
  }: GrantReference): Promise<(client: Client) => Answer> {
    const grant = asGrant(await store.getGrant(grantId), grantId);
    if (grant?.generation !== generation) return () => INACTIVE;
    return (client) => {
      const now = clock();
      const isGood = stands(grant, client, now) && now < refreshExpiryOf(grant);
      if (grant.clientId !== client.clientId || !isGood) return INACTIVE;
      return {
        active: true,
        iss: issuer,
        sub: grant.userId === undefined ? undefined : subjects.sub(client, grant.userId),
        aud: grant.resources,
        client_id: grant.clientId,
        scope: grant.scope.join(' '),
        exp: Math.floor(refreshExpiryOf(grant) / 1000),
        iat: Math.floor((grant.rotatedAt ?? grant.redeemedAt ?? grant.createdAt) / 1000),
      };
    };
  }
}

/** RFC 7662 §2.1: who asks must be authorized, or tokens could be tried out. */
function confidential(client: Client): Client {
  if (client.confidential) return client;
  throw new OAuthError('invalid_client', 'Introspection needs a client with credentials', {
    reason: 'public client',
  });
}
