import { OAuthError } from '../errors';

/** A value longer than this is refused: no parameter of the protocol needs it. */
const MAXIMUM_VALUE_LENGTH = 8192;

/** The one parameter that may repeat (RFC 8707 §2). */
const REPEATABLE = 'resource';

/** What must not stand in a URL, where logs, histories and the Referer header would keep it. */
const SECRET_NAMES = [
  'access_token',
  'client_assertion',
  'client_secret',
  'code',
  'code_verifier',
  'password',
  'refresh_token',
  'token',
];

/**
 * The parameters of one request: strings, each once. An empty value counts as omitted (RFC 6749 §3.1).
 */
export interface Parameters {
  get(name: string): string | undefined;
  /** The values of `resource`. */
  readonly resource: readonly string[];
  /** The names that were repeated or over-long or held control characters, with what is wrong. They have no value. */
  readonly faults: ReadonlyMap<string, string>;
  /** All of them in a fixed order, to be stored or hashed. */
  entries(): [name: string, value: string][];
}

/** @throws OAuthError `invalid_request` for a name or a value that is not a plain string. */
export function parametersOf(pairs: Iterable<readonly [string, unknown]>): Parameters {
  const values = new Map<string, string>();
  const resource: string[] = [];
  const faults = new Map<string, string>();

  function add(name: string, value: unknown): void {
    // Brackets are how body parsers write arrays and objects: `scope[a]=b` is no parameter of the protocol.
    if (typeof value !== 'string' || /[[\]]/.test(name)) {
      throw new OAuthError('invalid_request', 'A parameter is not a plain string');
    }
    if (value === '') return;
    if (value.length > MAXIMUM_VALUE_LENGTH) faults.set(name, 'is too long');
    else if (/\p{Cc}/u.test(value)) faults.set(name, 'has control characters');
    else if (name === REPEATABLE) resource.push(value);
    else if (values.has(name)) faults.set(name, 'is repeated');
    else values.set(name, value);
  }

  for (const [name, value] of pairs) {
    const given = name === REPEATABLE && Array.isArray(value) ? (value as unknown[]) : [value];
    for (const single of given) add(name, single);
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

function byText([name, value]: [string, string], [otherName, otherValue]: [string, string]): number {
  return compare(name, otherName) || compare(value, otherValue);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The query's parameters, from the URL itself: a host's query parser has no say. */
export function queryParameters(url: string): Parameters {
  const mark = url.indexOf('?');
  return parametersOf(new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1)));
}

/** @throws OAuthError `invalid_request` if a parameter was repeated, over-long or malformed. */
export function refuseFaults(parameters: Parameters): void {
  for (const [name, fault] of parameters.faults) {
    throw new OAuthError('invalid_request', `The parameter ${name} ${fault}`);
  }
}

/**
 * For what stands in a URL, or may come to stand there (RFC 6749 §2.3.1, RFC 6750 §2.3).
 *
 * @throws OAuthError `invalid_request` if there is a secret among them
 */
export function refuseSecrets(parameters: Parameters): void {
  const name = SECRET_NAMES.find(
    (secret) => parameters.get(secret) !== undefined || parameters.faults.has(secret),
  );
  if (name)
    throw new OAuthError('invalid_request', `${name} must not be sent here`, {
      reason: 'secret out of place',
    });
}

/** @throws OAuthError `invalid_request` if the parameter is missing. */
export function required(parameters: Parameters, name: string): string {
  const value = parameters.get(name);
  if (value === undefined) throw new OAuthError('invalid_request', `${name} is missing`);
  return value;
}
