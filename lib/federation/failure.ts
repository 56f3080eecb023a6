import { OAuthError } from '../errors';

/** What openid-client's errors, and those of a connection, have. */
interface Thrown {
  readonly name?: unknown;
  readonly message?: unknown;
  readonly code?: unknown;
  readonly error?: unknown;
  readonly error_description?: unknown;
  readonly status?: unknown;
  readonly cause?: unknown;
}

/** What the user, or the provider for its user, said no to. */
const DENIALS = [
  'access_denied',
  'consent_required',
  'interaction_required',
  'login_required',
  'invalid_grant',
  // Of some, who do not keep to the words of RFC 6749.
  'bad_refresh_token',
  'bad_verification_code',
  'account_selection_required',
];
/** Characters, of what somebody else has written. */
const MAXIMUM_WORDS = 300;
/** An answer that came, and must not be believed. */
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
 * What a client is told when a provider fails: `access_denied` if the user did not get through there, `server_error` if the two
 * servers do not trust each other, `temporarily_unavailable` for anything else: nonsense is what an outage often says.
 *
 * @param secrets what the provider was sent, and may have quoted
 */
export function providerFailure(
  providerId: string,
  thrown: unknown,
  secrets: readonly string[] = [],
): OAuthError {
  // A host's own function, which gets the profile, may say what it likes.
  if (thrown instanceof OAuthError) return thrown;
  const { error, code } = Object(thrown) as Thrown;
  const cause = withoutTokens(thrown, secrets);
  const status = statusOf(Object(thrown) as Thrown);
  const isDown = status === 429 || (status !== undefined && status >= 500);
  const isDenial = DENIALS.includes(String(error)) || String(error).startsWith('user_cancel');
  if (!isDown && isDenial) {
    return new OAuthError('access_denied', `The sign-in at ${providerId} was refused`, { cause });
  }
  const isAnswer = status !== undefined || typeof error === 'string' || DISTRUSTED.includes(String(code));
  if (!isDown && isAnswer && !['server_error', 'temporarily_unavailable'].includes(String(error))) {
    return new OAuthError('server_error', `The sign-in at ${providerId} failed`, { cause });
  }
  return new OAuthError('temporarily_unavailable', `The provider ${providerId} does not answer`, { cause });
}

/** Of an answer other than the expected one, whose body was no error of OAuth's. */
function statusOf({ status, cause }: Thrown): number | undefined {
  const value = status ?? (cause instanceof Response && !cause.ok ? cause.status : undefined);
  return typeof value === 'number' ? value : undefined;
}

/** The words of an error and of what caused it: what hangs on it may hold the provider's answer, tokens and all. */
function withoutTokens(thrown: unknown, secrets: readonly string[]): Error {
  const words: string[] = [];
  let current: unknown = thrown;
  for (let depth = 0; depth < 4 && typeof current === 'object' && current !== null; depth++) {
    const { name, message, error, error_description: description, code, status, cause } = current as Thrown;
    // What cannot be parsed is quoted in the message of the parser's error.
    const said = name === 'SyntaxError' ? 'it cannot be parsed' : message;
    words.push(...[said, error, description, code, status].filter((word) => word !== undefined).map(String));
    current = cause;
  }
  const text = words.map((word) => redacted(word, secrets).slice(0, MAXIMUM_WORDS)).join(': ');
  return new Error(text || 'the provider failed');
}

function redacted(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, '…'), text);
}
