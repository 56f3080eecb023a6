import { printable } from '../printable';
import { accessDenied, OAuthError, temporarilyUnavailable } from '../errors';

/** The members of openid-client's errors and of connection errors. */
interface Thrown {
  readonly name?: unknown;
  readonly message?: unknown;
  readonly code?: unknown;
  readonly error?: unknown;
  readonly error_description?: unknown;
  readonly status?: unknown;
  readonly cause?: unknown;
}

/** Errors with which the user or the provider refuses access. */
const DENIALS = [
  'access_denied',
  'consent_required',
  'interaction_required',
  'login_required',
  'invalid_grant',
  // From providers that use other error codes than RFC 6749.
  'bad_refresh_token',
  'bad_verification_code',
  'account_selection_required',
];
/** The length of each quoted text. Characters. */
const MAXIMUM_QUOTE = 300;
/** Codes of openid-client for a response that must not be trusted. */
const DISTRUSTED = [
  'OAUTH_INVALID_RESPONSE',
  'OAUTH_JWT_CLAIM_COMPARISON_FAILED',
  'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED',
  'OAUTH_JWT_TIMESTAMP_CHECK_FAILED',
  'OAUTH_KEY_SELECTION_FAILED',
  'OAUTH_MISSING_SERVER_METADATA',
  'OAUTH_UNSUPPORTED_OPERATION',
  'OAUTH_WWW_AUTHENTICATE_CHALLENGE',
];

/**
 * Converts a provider's failure to an error for the client: `access_denied` if the sign-in was refused there, `server_error` if
 * the provider responded with another error or its response must not be trusted, otherwise `temporarily_unavailable`, because a
 * response that cannot be read is often the result of an outage.
 *
 * @param secrets values that were sent to the provider, which its error may quote
 */
export function providerFailure(
  providerId: string,
  thrown: unknown,
  secrets: readonly string[] = [],
): OAuthError {
  // The host's own function for the profile may throw any OAuthError.
  if (thrown instanceof OAuthError) return thrown;
  const { error, code } = Object(thrown) as Thrown;
  const cause = withoutTokens(thrown, secrets);
  const status = statusOf(Object(thrown) as Thrown);
  const isDown = status === 429 || (status !== undefined && status >= 500);
  const isDenial = DENIALS.includes(String(error)) || String(error).startsWith('user_cancel');
  if (!isDown && isDenial) {
    return accessDenied(`The sign-in at ${providerId} was refused`, { cause });
  }
  const isAnswer = status !== undefined || typeof error === 'string' || DISTRUSTED.includes(String(code));
  if (!isDown && isAnswer && !['server_error', 'temporarily_unavailable'].includes(String(error))) {
    return new OAuthError('server_error', `The sign-in at ${providerId} failed`, { cause });
  }
  return temporarilyUnavailable(`The provider ${providerId} is not available`, { cause });
}

/** Returns the status of a response whose body is not an OAuth error. */
function statusOf({ status, cause }: Thrown): number | undefined {
  const value = status ?? (cause instanceof Response && !cause.ok ? cause.status : undefined);
  return typeof value === 'number' ? value : undefined;
}

/**
 * Keeps the messages, codes and statuses of an error and its causes. The other members may contain the provider's response with
 * its tokens.
 */
function withoutTokens(thrown: unknown, secrets: readonly string[]): Error {
  const words: string[] = [];
  let current: unknown = thrown;
  for (let depth = 0; depth < 4 && typeof current === 'object' && current !== null; depth++) {
    const { name, message, error, error_description: description, code, status, cause } = current as Thrown;
    // The message of a parser's error quotes the text that was parsed.
    const said = name === 'SyntaxError' ? 'it cannot be parsed' : message;
    words.push(...[said, error, description, code, status].filter((word) => word !== undefined).map(String));
    current = cause;
  }
  const text = words.map((word) => printable(redacted(word, secrets)).slice(0, MAXIMUM_QUOTE)).join(': ');
  return new Error(text || 'the provider failed');
}

function redacted(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, '…'), text);
}
