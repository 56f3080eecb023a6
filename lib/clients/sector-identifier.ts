import type { ClientMetadata } from '../adapters/contract';
import { invalidClientMetadata } from '../errors';
import type { Outbound } from '../http/outbound';
import { parseJson } from '../json';

/** Checks the sector that a client names for its pairwise subjects. @throws OAuthError `invalid_client_metadata` */
export type CheckSector = (
  client: Pick<ClientMetadata, 'sectorIdentifierUri' | 'redirectUris'>,
) => Promise<void>;

/**
 * Fetches the list at `sector_identifier_uri`, which must contain all redirect URIs: otherwise a client could choose the sector of
 * another one, and recognize its users. @see OpenID Connect Registration §5
 */
export function createCheckSector(fetch: Outbound): CheckSector {
  return async ({ sectorIdentifierUri: url, redirectUris = [] }) => {
    if (url === undefined) return;
    const text = await fetch({ method: 'GET', url, headers: { Accept: 'application/json' } }).catch(
      (cause: unknown) => {
        throw invalidClientMetadata('sector_identifier_uri cannot be fetched', { cause });
      },
    );
    const listed: unknown = parseJson(text);
    if (!Array.isArray(listed) || !redirectUris.every((uri) => listed.includes(uri)))
      throw invalidClientMetadata('sector_identifier_uri does not list all redirect_uris');
  };
}
