import { OAuthError } from '../errors';
import type { GrantType, GrantTypeOptions } from './grant-type';
import { narrowedResources, narrowedScope } from './narrowing';

/** The client acts for itself: no user, no refresh token, nothing is stored. @see RFC 6749 §4.4 */
export function clientCredentialsGrant({
  issue,
  audiences,
}: Pick<GrantTypeOptions, 'issue' | 'audiences'>): GrantType {
  return {
    name: 'client_credentials',
    respond: async ({ client, parameters }) => {
      if (!client.confidential) {
        throw new OAuthError('unauthorized_client', 'client_credentials is for confidential clients');
      }
      const context = {
        client,
        grantType: 'client_credentials',
        userId: undefined,
        scope: narrowedScope(parameters.get('scope'), client.scope),
        resources: narrowedResources(parameters.resource, audiences.all, [audiences.default]),
      };
      return { ...(await issue({ context })), context };
    },
  };
}
