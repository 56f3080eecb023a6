import { isIP } from 'node:net';

import { isLoopbackHost } from '../http/loopback';

/** Whether a client id is a URL, and not the id of a client that is registered here. */
export function isUrlClientId(clientId: string): boolean {
  return /^https?:/i.test(clientId);
}

/**
 * Returns why a client id cannot be the URL of a metadata document, or `undefined` if it can. The rules are for the text itself: clients
 * are compared by it, and a parser would forgive what makes two texts of one client. `allowHttp` allows http on loopback, for
 * development.
 *
 * @see draft-ietf-oauth-client-id-metadata-document §3
 */
export function documentUrlFault(
  clientId: string,
  { allowHttp }: { allowHttp: boolean },
): string | undefined {
  if (!URL.canParse(clientId)) return 'is not a URL';
  const { protocol, hostname, pathname, username, password, href } = new URL(clientId);
  const isLocal = allowHttp && isLoopbackHost(hostname);
  if (protocol !== 'https:' && !(protocol === 'http:' && isLocal)) return 'is not an https URL';
  if (username || password || clientId.includes('@')) return 'has user information';
  if (clientId.includes('#')) return 'has a fragment';
  // Allowed, but not recommended: one document would be many clients.
  if (clientId.includes('?')) return 'has a query';
  if (pathname === '/') return 'has no path';
  if (isIP(hostname.replace(/^\[|\]$/g, '')) > 0 && !isLocal) return 'has an address instead of a host name';
  // Among others, a parser removes dot segments, tabs and default ports, and changes the case of the host.
  return href === clientId ? undefined : 'is not in its normal form';
}
