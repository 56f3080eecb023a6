/** Schemes that run script, read local data, wrap another URI, or start something other than an app of the client's. */
const FORBIDDEN_SCHEMES = new Set(
  (
    'about blob chrome chrome-extension data feed file filesystem ftp intent jar javascript livescript mailto mhtml mocha ' +
    'ms-appinstaller ms-msdt moz-extension res resource search-ms sms tel urn vbscript view-source ws wss'
  ).split(' '),
);
/** Not a place to go to: the code is shown, or answered (as OAuth 2.0 for Native Apps had it in its early drafts). */
export const OUT_OF_BAND_URIS: readonly string[] = [
  'urn:ietf:wg:oauth:2.0:oob',
  'urn:ietf:wg:oauth:2.0:oob:auto',
];

export function isOutOfBandUri(uri: string): boolean {
  return OUT_OF_BAND_URIS.includes(uri);
}

/** A query of a redirect URI that has one of these would be mistaken for the answer's. */
const ANSWER_PARAMETERS = ['code', 'state', 'iss', 'error', 'error_description', 'error_uri', 'response'];

const LOOPBACK = /^http:\/\/(127\.0\.0\.1|\[::1\]|localhost)(:\d{1,5})?(?=[/?]|$)/;
const SCHEME = /^([a-z][a-z0-9+.-]*):/i;

/**
 * Why this can be no redirect URI, or `undefined` if it can (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.1).
 * `allowHttp` lets plain http go to hosts other than loopback, for development; `allowOutOfBand` what is no place to go to.
 */
export function redirectUriFault(
  uri: string,
  { allowHttp = false, allowOutOfBand = false } = {},
): string | undefined {
  if (allowOutOfBand && isOutOfBandUri(uri)) return undefined;
  if (!/^[\x21-\x7e]+$/.test(uri) || /["<>\\^`{|}]/.test(uri)) return 'holds characters that no URI has';
  const scheme = SCHEME.exec(uri)?.[1]?.toLowerCase();
  if (!scheme || !URL.canParse(uri)) return 'is not an absolute URI';
  if (uri.includes('#')) return 'has a fragment';
  if (FORBIDDEN_SCHEMES.has(scheme)) return `has the scheme ${scheme}:`;
  const query = new URLSearchParams(uri.split('?')[1]);
  const answer = ANSWER_PARAMETERS.find((name) => query.has(name));
  if (answer) return `has ${answer} in its query, which is the answer's`;
  if (scheme !== 'http' && scheme !== 'https') return undefined;

  const { username, password } = new URL(uri);
  if (username || password) return 'has user information';
  if (!/^https?:\/\/[^/?]/i.test(uri)) return 'has no host';
  if (uri.includes('*')) return 'has a wildcard, but redirect URIs match exactly';
  if (scheme === 'http' && !allowHttp && !LOOPBACK.test(uri)) return 'is http, which is for loopback only';
  return undefined;
}

/**
 * The exact string, except that the port of a loopback URI is free.
 *
 * @see RFC 9700 §4.1.3, RFC 8252 §7.3
 */
export function matchesRedirectUri(registered: string, given: string): boolean {
  if (registered === given) return true;
  const ours = LOOPBACK.exec(registered);
  const theirs = LOOPBACK.exec(given);
  if (!ours || !theirs || ours[1] !== theirs[1] || Number(theirs[2]?.slice(1) ?? 80) > 65535) return false;
  return registered.slice(ours[0].length) === given.slice(theirs[0].length);
}

/** Loopback or a custom scheme: another app of the device may have taken it (RFC 8252 §8.6). */
export function isNativeRedirectUri(uri: string): boolean {
  return !/^https?:/i.test(uri) || /^(localhost|127\.0\.0\.1|\[::1\])$/.test(new URL(uri).hostname);
}
