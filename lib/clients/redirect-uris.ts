import { isLoopbackHost, isLoopbackUrl } from '../http/loopback';

/** Schemes that run script, read local data, wrap another URI, or open something other than the client's app. */
const FORBIDDEN_SCHEMES = new Set(
  (
    'about blob chrome chrome-extension data feed file filesystem ftp intent jar javascript livescript mailto mhtml mocha ' +
    'ms-appinstaller ms-msdt moz-extension res resource search-ms sms tel urn vbscript view-source ws wss'
  ).split(' '),
);
/** Redirect URIs without a redirect: the code is shown or returned (early drafts of OAuth 2.0 for Native Apps). */
export const OUT_OF_BAND_URIS: readonly string[] = [
  'urn:ietf:wg:oauth:2.0:oob',
  'urn:ietf:wg:oauth:2.0:oob:auto',
];

export function isOutOfBandUri(uri: string): boolean {
  return OUT_OF_BAND_URIS.includes(uri);
}

/** Parameters of the authorization response: a redirect URI must not have any of them in its own query. */
const RESPONSE_PARAMETERS = ['code', 'state', 'iss', 'error', 'error_description', 'error_uri', 'response'];

const SCHEME = /^([a-z][a-z0-9+.-]*):/i;

/**
 * Returns why a text cannot be a redirect URI, or `undefined` if it can (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.1).
 * `allowHttp` allows http on hosts other than loopback, for development; `allowOutOfBand` allows the out-of-band URIs.
 */
export function redirectUriFault(
  uri: string,
  { allowHttp = false, allowOutOfBand = false } = {},
): string | undefined {
  if (allowOutOfBand && isOutOfBandUri(uri)) return undefined;
  if (!/^[\x21-\x7e]+$/.test(uri) || /["<>\\^`{|}]/.test(uri)) return 'contains characters that no URI has';
  const scheme = SCHEME.exec(uri)?.[1]?.toLowerCase();
  if (!scheme || !URL.canParse(uri)) return 'is not an absolute URI';
  if (uri.includes('#')) return 'has a fragment';
  if (FORBIDDEN_SCHEMES.has(scheme)) return `has the forbidden scheme ${scheme}:`;
  // Parsers disagree about a second question mark: `?a=b?c&code=x` has a code for all of them.
  const queries = uri.split('?').slice(1);
  const all = [queries.join('?'), ...queries].map((query) => new URLSearchParams(query));
  const ambiguous = RESPONSE_PARAMETERS.find((name) => all.some((query) => query.has(name)));
  if (ambiguous) return `has ${ambiguous} in its query, which the response adds`;
  if (scheme !== 'http' && scheme !== 'https') return undefined;

  const { username, password } = new URL(uri);
  if (username || password) return 'has user information';
  if (!/^https?:\/\/[^/?]/i.test(uri)) return 'has no host';
  if (uri.includes('*')) return 'has a wildcard, but redirect URIs match exactly';
  if (scheme === 'http' && !allowHttp && !loopbackParts(uri)) return 'uses http, which is for loopback only';
  return undefined;
}

/**
 * Whether a redirect URI matches a registered one: exactly, except that the port of a loopback URI is free.
 *
 * @see RFC 9700 §4.1.3, RFC 8252 §7.3
 */
export function matchesRedirectUri(registered: string, given: string): boolean {
  if (registered === given) return true;
  const ours = loopbackParts(registered);
  const theirs = loopbackParts(given);
  if (!ours || !theirs) return false;
  return ours.host === theirs.host && ours.rest === theirs.rest && theirs.port <= 65_535;
}

/** Splits an http URI on loopback into its host, its port, and the rest, byte for byte. */
function loopbackParts(uri: string): { host: string; port: number; rest: string } | undefined {
  const [, host = '', port = '80', rest = ''] =
    /^http:\/\/([^/?:]+|\[[^\]/?]*\])(?::(\d{1,5}))?([/?].*)?$/.exec(uri) ?? [];
  return isLoopbackHost(host) ? { host, port: Number(port), rest } : undefined;
}

/** Whether another app on the device may have claimed the URI: loopback, or a custom scheme (RFC 8252 §8.6). */
export function isNativeRedirectUri(uri: string): boolean {
  return !/^https?:/i.test(uri) || isLoopbackUrl(uri);
}
