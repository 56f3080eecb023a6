import type { RequestHandler } from 'express';

import type { Store } from '../adapters/store';
import type { ClientAuthentication } from '../clients/authentication';
import type { Client } from '../clients/client';
import { invalidClient } from '../errors';
import { isRefreshable, refreshExpiryOf, type Grant } from '../grants/grant';
import { isLeftOver } from '../grants/import-mark';
import type { TokenStatus } from '../grants/status';
import { formParameters } from '../http/body';
import { createEndpoint, sendJson, type EndpointFrame } from '../http/endpoint';
import { required } from '../http/parameters';
import { audiencesOf, type AccessTokenClaims, type AccessTokens } from '../tokens/access-token';
import type { GrantReference, GrantTokens } from '../tokens/grant-token';
import type { Subjects } from '../tokens/subject';

interface IntrospectionOptions {
  issuer: string;
  authentication: ClientAuthentication;
  store: Pick<Store, 'get' | 'getGrant'>;
  status: TokenStatus;
  grantTokens: GrantTokens;
  accessTokens: AccessTokens;
  subjects: Subjects;
  clock: () => number;
  frame: EndpointFrame;
}

type Introspection = Readonly<Record<string, unknown>>;
/** Returns the introspection of a token, as a client may see it. */
type IntrospectionFor = (client: Client) => Introspection;

/** RFC 7662 §2.2: nothing else, whatever the reason. */
const INACTIVE: Introspection = { active: false };

/** `POST /introspect`. @see RFC 7662 §2 */
export function createIntrospectionEndpoint(options: IntrospectionOptions): RequestHandler {
  const { issuer, authentication, store, status, grantTokens, accessTokens, subjects, clock } = options;

  return createEndpoint(
    options.frame,
    { name: 'introspect', methods: ['POST'] },
    async function introspect(req, res) {
      const parameters = await formParameters(req);
      const token = required(parameters, 'token');
      const reference = grantTokens.readRefreshToken(token);
      const claims = reference ? undefined : accessTokens.read(token);
      const mayFetch = reference !== undefined || claims !== undefined;
      const { authenticate } = authentication.identify(req, parameters, { mayFetch });
      // The client, and everything that the token depends on, in one round trip.
      const [client, introspectionFor] = await Promise.all([
        authenticate().then(requireCredentials),
        reference ? introspectRefreshToken(reference) : introspectAccessToken(claims),
      ]);
      sendJson(res, introspectionFor(client));
    },
  );

  async function introspectAccessToken(claims: AccessTokenClaims | undefined): Promise<IntrospectionFor> {
    if (!claims || !(await status(claims))) return () => INACTIVE;
    return (client) => {
      const isOwn = claims.client_id === client.clientId;
      const isResourceServer = audiencesOf(claims).some((audience) =>
        client.introspectionAudiences.includes(audience),
      );
      if (!isOwn && !isResourceServer) return INACTIVE;
      const tokenType = claims.cnf?.jkt === undefined ? 'Bearer' : 'DPoP';
      // A client sees the user's `sub` as in its ID tokens; a resource server sees the host's id.
      const isUser = claims.sub !== claims.client_id;
      const sub = isOwn && !isResourceServer && isUser ? subjects.sub(client, claims.sub) : claims.sub;
      return { ...claims, sub, active: true, token_type: tokenType };
    };
  }

  async function introspectRefreshToken({ grantId, generation }: GrantReference): Promise<IntrospectionFor> {
    const grant: Grant | undefined = await store.getGrant(grantId);
    if (grant?.generation !== generation || (await isLeftOver(store, grant))) return () => INACTIVE;
    return (client) => {
      if (grant.clientId !== client.clientId || !isRefreshable(grant, client, clock())) return INACTIVE;
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

/** Refuses a client without credentials: the caller must be authorized, or tokens could be guessed here (RFC 7662 §2.1). */
function requireCredentials(client: Client): Client {
  if (client.confidential) return client;
  throw invalidClient('Introspection needs a client with credentials', { reason: 'public client' });
}
