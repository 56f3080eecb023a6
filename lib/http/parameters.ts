import { invalidRequest, type OAuthError } from '../errors';

/** The default maximum length of a value, in characters: no parameter of the protocol needs more. */
const MAXIMUM_VALUE_LENGTH = 8192;

/** The one parameter that may repeat (RFC 8707 §2). */
const REPEATABLE = 'resource';

/** Marks a request that was continued by a page of this server. */
export const CONTINUED = 'continued';

/** The parameters of the protocol that some endpoint reads; all others are ignored (RFC 6749 §3.1 and §3.2). */
export const KNOWN_NAMES: ReadonlySet<string> = new Set(
  (
    'access_token acr_values after_callback_redirect_url audience claims client_assertion client_assertion_type client_id ' +
    'client_secret code code_challenge code_challenge_method code_verifier confirmation connection decision display dpop_jkt ' +
    'error_redirect_uri error_redirect_url grant_type id_token_hint login_hint max_age nonce post_logout_redirect_uri prompt ' +
    'provider_scope redirect_uri refresh_token request request_uri resource response_mode response_type resume scope state token ' +
    'token_type_hint type ui_locales'
  ).split(' '),
);

/** Parameters that must not appear in a URL, where logs, histories and the Referer header would keep them. */
const SECRET_NAMES = [
  'access_token',
  'actor_token',
  'assertion',
  'client_assertion',
  'client_secret',
  'code',
  'code_verifier',
  'device_code',
  'password',
  'refresh_token',
  'subject_token',
  'token',
];

/**
 * The parameters of one request: strings, each present once. An empty value counts as omitted (RFC 6749 §3.1).
 */
export interface Parameters {
  get(name: string): string | undefined;
  /** The values of `resource`. */
  readonly resource: readonly string[];
  /** The faults of parameters that were repeated, too long or contained control characters. `get` omits their values. */
  readonly faults: ReadonlyMap<string, string>;
  /** Returns all parameters in a fixed order, to be stored or hashed. */
  entries(): [name: string, value: string][];
}

/** Reads parameters. @throws OAuthError `invalid_request` for a name or a value that is not a plain string */
export function parametersOf(
  pairs: Iterable<readonly [string, unknown]>,
  { maximumLength = MAXIMUM_VALUE_LENGTH } = {},
): Parameters {
  const values = new Map<string, string>();
  const resource: string[] = [];
  const faults = new Map<string, string>();

  function add(name: string, value: string): void {
    if (value === '') return;
    if (value.length > maximumLength) faults.set(name, 'is too long');
    else if (/\p{Cc}/u.test(value)) faults.set(name, 'has control characters');
    else if (name === REPEATABLE) resource.push(value);
    else if (values.has(name)) faults.set(name, 'is repeated');
    else values.set(name, value);
  }

  for (const [name, value] of pairs) {
    // Body parsers read brackets as arrays and objects: `scope[a]=b` is not a parameter of the protocol.
    if (/[[\]]/.test(name)) throw notPlain();
    if (typeof value === 'string') add(name, value);
    else if (!isTexts(value)) throw notPlain();
    else if (name === REPEATABLE) value.forEach((single) => add(name, single));
    // A host's parser returns a repeated parameter as an array. An array of one value was sent as an array.
    else if (value.length > 1) faults.set(name, 'is repeated');
    else throw notPlain();
  }
  for (const name of faults.keys()) values.delete(name);

  return {
    get: (name) => values.get(name),
    resource,
    faults,
    entries: () =>
      [...values, ...resource.map((value): [string, string] => [REPEATABLE, value])].sort(byText),
  };
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((single) => typeof single === 'string');
}

function notPlain(): OAuthError {
  return invalidRequest('A parameter is not a plain string');
}

function byText([name, value]: [string, string], [otherName, otherValue]: [string, string]): number {
  return compare(name, otherName) || compare(value, otherValue);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const NONE = parametersOf([]);

/** Returns the parameters of the query, from the URL itself: the host's query parser does not affect them. */
export function queryParameters(url: string): Parameters {
  const mark = url.indexOf('?');
  return mark < 0 ? NONE : parametersOf(new URLSearchParams(url.slice(mark + 1)));
}

/**
 * Refuses faulty parameters. Those that the protocol does not know are ignored, unless a host's function gets `all` parameters.
 *
 * @throws OAuthError `invalid_request` if a parameter was repeated, too long or malformed
 */
export function refuseFaults(parameters: Parameters, { all = false } = {}): void {
  for (const [name, fault] of parameters.faults) {
    if (!all && !KNOWN_NAMES.has(name)) continue;
    // The sender chose the name, which may be shown on a page.
    const what = /^[a-z_]{1,40}$/.test(name) ? `The parameter ${name}` : 'A parameter';
    throw invalidRequest(`${what} ${fault}`);
  }
}

/**
 * Refuses secrets among parameters that are in a URL, or will be (RFC 6749 §2.3.1, RFC 6750 §2.3). The parameters in `allowed`
 * have another meaning at the endpoint.
 *
 * @throws OAuthError `invalid_request`
 */
export function refuseSecrets(parameters: Parameters, { allowed = [] as readonly string[] } = {}): void {
  if (parameters === NONE) return;
  const name = SECRET_NAMES.find(
    (secret) =>
      !allowed.includes(secret) && (parameters.get(secret) !== undefined || parameters.faults.has(secret)),
  );
  if (name) throw secretOutOfPlace(name);
}

export function secretOutOfPlace(name: string): OAuthError {
  return invalidRequest(`${name} must not be sent here`, {
    reason: 'secret out of place',
  });
}

/** Returns a required parameter. @throws OAuthError `invalid_request` if it is missing */
export function required(parameters: Parameters, name: string): string {
  const value = parameters.get(name);
  if (value === undefined) throw invalidRequest(`${name} is missing`);
  return value;
}

/** Keeps only the parameters with these names. The faults of all parameters are kept. */
export function only(parameters: Parameters, names: readonly string[]): Parameters {
  const kept = parametersOf(parameters.entries().filter(([name]) => names.includes(name)));
  return { ...kept, faults: parameters.faults };
}

/** Sets one parameter to a value. */
export function withParameter(parameters: Parameters, name: string, value: string): Parameters {
  const others = parameters.entries().filter(([other]) => other !== name);
  return { ...parametersOf([...others, [name, value]]), faults: parameters.faults };
}
