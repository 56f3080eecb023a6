import { OAuthError } from '../errors';
import type { GrantType, GrantTypeOptions } from './grant-type';

/** The client acts for itself: no user, no refresh token, nothing is stored. @see RFC 6749 §4.4 */
export function clientCredentialsGrant({
  issue,
  audiences,
}: Pick<GrantTypeOptions, 'issue' | 'audiences'>): GrantType {
  return {
    name: 'client_credentials',
    respond: async ({ client, parameters, confirmation }) => {
      if (!client.confidential) {
        throw new OAuthError('unauthorized_client', 'client_credentials is for confidential clients');
      }
      const resources = audiences.requested(parameters, client);
      const context = {
        client,
        grantType: 'client_credentials',
        userId: undefined,
        scope: audiences.scope(parameters.get('scope'), client.scope, resources),
        resources,
      };
      return { ...(await issue({ context, confirmation })), context };
    },
  };
}
