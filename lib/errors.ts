/**
 * The values of `error` that this library uses, and any that a host defines for itself.
 *
 * @see RFC 6749 §4.1.2.1 and §5.2, RFC 6750 §3.1, RFC 7591 §3.2.2, RFC 8707 §2, RFC 9101 §7, RFC 9126 §2.3, RFC 9449 §5 and §8,
 * RFC 9470 §3, OpenID Connect Core §3.1.2.6
 */
export type OAuthErrorCode =
  | 'access_denied'
  | 'consent_required'
  | 'insufficient_scope'
  | 'insufficient_user_authentication'
  | 'invalid_client'
  | 'invalid_client_metadata'
  | 'invalid_dpop_proof'
  | 'invalid_grant'
  | 'invalid_redirect_uri'
  | 'invalid_request'
  | 'invalid_request_object'
  | 'invalid_request_uri'
  | 'invalid_scope'
  | 'invalid_software_statement'
  | 'invalid_target'
  | 'invalid_token'
  | 'login_required'
  | 'request_uri_not_supported'
  | 'server_error'
  | 'temporarily_unavailable'
  | 'too_many_requests'
  | 'unapproved_software_statement'
  | 'unauthorized_client'
  | 'unmet_authentication_requirements'
  | 'unsupported_grant_type'
  | 'unsupported_response_type'
  | 'use_dpop_nonce'
  | (string & Record<never, never>);

/** Further facts about an {@link OAuthError}. */
export interface OAuthErrorOptions {
  /** The underlying cause, for the operator. It is reported in events and never sent to the client. */
  cause?: unknown;
  /** A short reason for the operator, for example `expired`. It is reported in events and never sent to the client. */
  reason?: string;
  /** `error_uri` (RFC 6749 §5.2): a page for the client's developer. */
  uri?: string;
  /** Further members of the JSON body, for example `{ mfa_token }`. They cannot replace the standard members. */
  members?: Readonly<Record<string, unknown>>;
  /** The `WWW-Authenticate` challenge to send with the error (RFC 6750 §3, RFC 6749 §5.2). */
  challenge?: string;
  /** The HTTP status, from 400 to 599, where the default for the code does not fit. */
  status?: number;
  /** `Retry-After` of a 429 or 503. Seconds. */
  retryAfter?: number;
}

const STATUS = new Map<string, number>([
  ['invalid_client', 401],
  ['invalid_token', 401],
  ['insufficient_scope', 403],
  ['too_many_requests', 429],
  ['server_error', 500],
  ['temporarily_unavailable', 503],
]);

/**
 * An error that a client may see. Hooks may throw it too:
 * `throw new OAuthError('access_denied', 'This account is suspended')`.
 *
 * The HTTP status follows from the code: 401 for `invalid_client` and `invalid_token`, 403 for `insufficient_scope`,
 * 429 for `too_many_requests`, 500 for `server_error`, 503 for `temporarily_unavailable`, otherwise 400.
 *
 * @see RFC 6749 §4.1.2.1 and §5.2
 */
export class OAuthError extends Error {
  /** The name of the class. */
  override readonly name = 'OAuthError';
  /** The value of `error`. */
  readonly code: OAuthErrorCode;
  /** The HTTP status of the response, unless the error is sent by a redirect. */
  readonly status: number;
  /** The reason for the operator. It is reported in events only. */
  readonly reason: string | undefined;
  /** `error_uri`. */
  readonly uri: string | undefined;
  /** Further members of the JSON body. */
  readonly members: Readonly<Record<string, unknown>> | undefined;
  /** The `WWW-Authenticate` challenge. */
  readonly challenge: string | undefined;
  /** `Retry-After`. Seconds. */
  readonly retryAfter: number | undefined;

  /**
   * Creates an error from its code, the `error_description` for the client's developer, and further facts.
   * @throws RangeError for a status that is not from 400 to 599
   */
  constructor(code: OAuthErrorCode, description?: string, options: OAuthErrorOptions = {}) {
    super(description ?? code, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.status = options.status ?? STATUS.get(code) ?? 400;
    if (!Number.isInteger(this.status) || this.status < 400 || this.status > 599)
      throw new RangeError('the status of an OAuthError must be from 400 to 599');
    this.reason = options.reason;
    this.uri = options.uri;
    this.members = options.members;
    this.challenge = options.challenge;
    this.retryAfter = options.retryAfter ?? (this.status === 503 ? 1 : undefined);
  }

  /** The value of `error_description`, reduced to the characters that RFC 6749 §5.2 allows. */
  get description(): string {
    // A host may have assigned anything to it.
    const text = typeof this.message === 'string' ? this.message : this.code;
    return text.replaceAll('"', "'").replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '?');
  }
}

/** Thrown by `createOAuthRouter`, `createTokenVerifier` and `requireToken`: lists every fault of the options at once. */
export class OAuthConfigurationError extends Error {
  /** The name of the class. */
  override readonly name = 'OAuthConfigurationError';
  /** A stable code to recognize the error by. */
  readonly code = 'ERR_OAUTH_CONFIGURATION';
  /** One sentence for each fault. */
  readonly faults: readonly string[];

  /** Creates an error from its faults and the name of the function that was called. */
  constructor(faults: readonly string[], source = 'createOAuthRouter()') {
    super(`${source} has wrong options:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.faults = faults;
  }
}

/**
 * Makes `instanceof` know the instances of other copies of a class: a test runner may load the modules anew, and a host may have two versions.
 * A subclass knows its own instances only.
 */
function recognizeCopies(type: typeof OAuthError | typeof OAuthConfigurationError, name: string): void {
  const mark = Symbol.for(`express-oauth-router.${name}`);
  Object.defineProperty(type.prototype, mark, { value: true });
  const isInstance = function (this: unknown, value: unknown): boolean {
    if (this === type) return typeof value === 'object' && value !== null && mark in value;
    return Reflect.apply(Function.prototype[Symbol.hasInstance], this, [value]);
  };
  Object.defineProperty(type, Symbol.hasInstance, { value: isInstance });
}

recognizeCopies(OAuthError, 'OAuthError');
recognizeCopies(OAuthConfigurationError, 'OAuthConfigurationError');

type ErrorFactory = (description: string, options?: OAuthErrorOptions) => OAuthError;

function errorFactory(code: OAuthErrorCode): ErrorFactory {
  return (description, options) => new OAuthError(code, description, options);
}

export const accessDenied = errorFactory('access_denied');
export const consentRequired = errorFactory('consent_required');
export const invalidClient = errorFactory('invalid_client');
export const invalidClientMetadata = errorFactory('invalid_client_metadata');
export const invalidGrant = errorFactory('invalid_grant');
export const invalidRequest = errorFactory('invalid_request');
export const invalidScope = errorFactory('invalid_scope');
export const invalidTarget = errorFactory('invalid_target');
export const loginRequired = errorFactory('login_required');
export const temporarilyUnavailable = errorFactory('temporarily_unavailable');
export const unauthorizedClient = errorFactory('unauthorized_client');

/** Reports that the adapter threw or did not respond in time. The client sees `temporarily_unavailable`. */
export function storeUnavailable(cause: unknown): OAuthError {
  return temporarilyUnavailable('The storage of the authorization server does not answer', {
    cause,
    reason: 'store failed',
  });
}

/** Reports a bug, or an invalid result of a hook or adapter. The client sees `server_error` without the cause. */
export function serverError(cause: unknown): OAuthError {
  return new OAuthError('server_error', 'The authorization server met an unexpected condition', { cause });
}

/** Converts anything that was thrown into an error that the client may see. */
export function asOAuthError(thrown: unknown): OAuthError {
  return thrown instanceof OAuthError ? thrown : serverError(thrown);
}
