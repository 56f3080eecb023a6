import type { Client } from '../clients/client';
import type { ClientRegistry } from '../clients/registry';
import { invalidRequest } from '../errors';
import { authenticationOf, type OAuthUser } from '../host/user';
import type { Parameters } from '../http/parameters';
import { withParameters } from '../http/redirect';
import type { IdTokenClaims, IdTokens } from '../tokens/id-token';
import type { Subjects } from '../tokens/subject';

/** A logout request that has been checked. */
export interface LogoutRequest {
  readonly client: Client | undefined;
  readonly hint: IdTokenClaims | undefined;
  /**
   * The registered URI that the browser goes to afterwards, with `state`. Without `hint`, anyone may have sent the browser here in the
   * client's name: the user must decide to go there.
   */
  readonly location: string | undefined;
}

/** Checks the parameters of a logout request. @throws OAuthError `invalid_request` */
export type ReadLogoutRequest = (parameters: Parameters) => Promise<LogoutRequest>;

/** @see OpenID Connect RP-Initiated Logout §2 and §3 */
export function createReadLogoutRequest(options: {
  registry: ClientRegistry;
  idTokens: IdTokens;
}): ReadLogoutRequest {
  const { registry, idTokens } = options;

  return async (parameters) => {
    const token = parameters.get('id_token_hint');
    const hint = token === undefined ? undefined : idTokens.read(token);
    if (token !== undefined && !hint)
      throw invalidRequest('id_token_hint is not an ID token issued by this server');
    const named = parameters.get('client_id');
    if (hint && named !== undefined && named !== hint.aud)
      throw invalidRequest('id_token_hint was issued to another client');
    const clientId = hint?.aud ?? named;
    // Anybody can name a client: its document is fetched only for one that has got an ID token.
    const lookup = { mayFetch: hint !== undefined };
    const record = clientId === undefined ? undefined : await registry.find(clientId, lookup);
    if (clientId !== undefined && !record) throw invalidRequest('The client is unknown');

    const uri = parameters.get('post_logout_redirect_uri');
    if (uri !== undefined && record && !record.client.postLogoutRedirectUris.includes(uri))
      throw invalidRequest('post_logout_redirect_uri is not registered for this client');
    // Without a client there is nothing that the URI could be registered for.
    const location =
      record && uri !== undefined ? withParameters(uri, { state: parameters.get('state') }) : undefined;
    return { client: record?.client, hint, location };
  };
}

/** Whether the client has proven that it acts for this user, and in this session if it knows the session. */
export function isOfSession({ client, hint }: LogoutRequest, user: OAuthUser, subjects: Subjects): boolean {
  if (!client || hint?.sub !== subjects.sub(client, String(user.id))) return false;
  const { sid } = authenticationOf(user);
  return hint.sid === undefined || (sid !== undefined && hint.sid === subjects.sid(client, sid));
}
