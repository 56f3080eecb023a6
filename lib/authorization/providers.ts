import type { Client } from '../clients/client';
import { invalidRequest, type OAuthError } from '../errors';
import type { EventReporter } from '../event-reporter';
import type { Upstream } from '../federation/upstream';

/** Finds a provider by its id. Its failures are reported as events that name the client. @throws OAuthError `invalid_request` */
export type FindUpstream = (
  providerId: string,
  client: Client,
) => Pick<Upstream, 'provider' | 'authorizationUrl' | 'identify'>;

export function createFindUpstream(
  upstreams: ReadonlyMap<string, Upstream>,
  reporter: EventReporter,
): FindUpstream {
  return (providerId, { clientId }) => {
    const upstream = upstreams.get(providerId);
    // The options may have changed since the browser left.
    if (!upstream) throw invalidRequest(`The provider ${providerId} is unknown`);

    async function reported<T>(run: () => Promise<T>): Promise<T> {
      try {
        return await run();
      } catch (thrown) {
        const { code, cause } = thrown as OAuthError;
        // If the user refuses, the provider has not failed.
        if (code !== 'access_denied') reporter.emit('provider.failed', { clientId, providerId, cause });
        throw thrown;
      }
    }

    return {
      provider: upstream.provider,
      authorizationUrl: (request) => reported(() => upstream.authorizationUrl(request)),
      identify: (response, checks) => reported(() => upstream.identify(response, checks)),
    };
  };
}
