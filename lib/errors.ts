/** What may go with an {@link OAuthError}. */
export interface OAuthErrorOptions {
  /** What really happened, for the operator: it goes to the events, never on the wire. */
  cause?: unknown;
  /** A word for the operator that tells apart what the client must not, for example `expired`. Events only. */
  reason?: string;
  /** `error_uri` (RFC 6749 §5.2): a page for the client's developer. */
  uri?: string;
  /** Further members of the JSON body, for example `{ mfa_token }`. They cannot replace the standard ones. */
  members?: Readonly<Record<string, unknown>>;
  /** The `WWW-Authenticate` challenge that goes with it (RFC 6750 §3, RFC 6749 §5.2). */
  challenge?: string;
  /** The HTTP status, where the one that follows from the code will not do. */
  status?: number;
  /** `Retry-After`, in seconds, of a 429 or 503. */
  retryAfter?: number;
}

const STATUS = new Map([
  ['invalid_client', 401],
  ['invalid_token', 401],
  ['insufficient_scope', 403],
  ['too_many_requests', 429],
  ['server_error', 500],
  ['temporarily_unavailable', 503],
]);

/**
 * An error that a client may see. Hooks may throw their own:
 * `throw new OAuthError('access_denied', 'This account is suspended')`.
 *
 * The HTTP status follows from the code: 401 for `invalid_client` and `invalid_token`, 403 for
 * `insufficient_scope`, 429 for `too_many_requests`, 500 and 503 for `server_error` and `temporarily_unavailable`, else 400.
 *
 * @see RFC 6749 §4.1.2.1 and §5.2
 */
export class OAuthError extends Error {
  override readonly name = 'OAuthError';
  /** The value of `error`. */
  readonly code: string;
  /** The HTTP status, where the error is not a redirect. */
  readonly status: number;
  readonly reason: string | undefined;
  readonly uri: string | undefined;
  readonly members: Readonly<Record<string, unknown>> | undefined;
  readonly challenge: string | undefined;
  /** Seconds. */
  readonly retryAfter: number | undefined;

  constructor(code: string, description?: string, options: OAuthErrorOptions = {}) {
    super(description ?? code, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.status = options.status ?? STATUS.get(code) ?? 400;
    this.reason = options.reason;
    this.uri = options.uri;
    this.members = options.members;
    this.challenge = options.challenge;
    this.retryAfter = options.retryAfter ?? (this.status === 503 ? 1 : undefined);
  }

  /** The value of `error_description`, in the characters that RFC 6749 §5.2 allows. */
  get description(): string {
    return this.message.replaceAll('"', "'").replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '?');
  }
}

/** Thrown by `createOAuthRouter` and `requireToken` with every fault of the options at once. */
export class OAuthConfigurationError extends Error {
  override readonly name = 'OAuthConfigurationError';
  readonly code = 'ERR_OAUTH_CONFIGURATION';
  /** One sentence for each fault. */
  readonly faults: readonly string[];

  constructor(faults: readonly string[], what = 'createOAuthRouter()') {
    super(`${what} has wrong options:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.faults = faults;
  }
}

/** The adapter threw, or did not answer in time. The client sees `temporarily_unavailable`. */
export function storeUnavailable(cause: unknown): OAuthError {
  return new OAuthError(
    'temporarily_unavailable',
    'The storage of the authorization server does not answer',
    {
      cause,
      reason: 'store failed',
    },
  );
}

/** A bug, or nonsense from a hook or an adapter. The client sees `server_error` and nothing of the cause. */
export function serverError(cause: unknown): OAuthError {
  return new OAuthError('server_error', 'The authorization server met an unexpected condition', { cause });
}

/** Whatever was thrown, as what the client may see of it. */
export function asOAuthError(thrown: unknown): OAuthError {
  return thrown instanceof OAuthError ? thrown : serverError(thrown);
}
