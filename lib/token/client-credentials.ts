import { scopeValues } from '../clients/client';
import { unauthorizedClient } from '../errors';
import { nextTurn } from '../next-turn';
import { USER_SCOPES } from '../policy/scopes';
import type { GrantType } from './grant-type';
import type { GrantTypeOptions } from './options';

/**
 * Creates the grant type of clients that act for themselves: there is no user and no refresh token, and nothing is stored.
 *
 * @see RFC 6749 §4.4
 */
export function createClientCredentialsGrant({
  issue,
  audiences,
}: Pick<GrantTypeOptions, 'issue' | 'audiences'>): GrantType {
  return {
    name: 'client_credentials',
    async respond({ client, parameters, confirmation }) {
      if (!client.confidential) {
        throw unauthorizedClient('client_credentials is for confidential clients');
      }
      const resources = audiences.requested(parameters, client);
      const requested = parameters.get('scope');
      // A request without scope means all values, but not those that have no meaning without a user.
      const isNamed = scopeValues(requested).length > 0;
      const isMeant = (value: string): boolean => isNamed || !USER_SCOPES.includes(value);
      const context = {
        client,
        grantType: 'client_credentials',
        userId: undefined,
        scope: audiences.scope(requested, client.scope.filter(isMeant), resources),
        resources,
      };
      // A client of the options waits for no store. The answers to requests that arrived together cost less if they are written together.
      await nextTurn();
      return issue({ context, confirmation });
    },
  };
}
