import { OAuthError } from '../errors';

/** A value longer than this is refused: no parameter of the protocol needs it. */
const MAXIMUM_VALUE_LENGTH = 8192;

/** The one parameter that may repeat (RFC 8707 §2). */
const REPEATABLE = 'resource';

/** What must not stand in a URL, where logs, histories and the Referer header would keep it. */
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

/** @throws OAuthError `invalid_request` for a name or a value that is not a plain string */
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
    // Brackets are how body parsers write arrays and objects: `scope[a]=b` is no parameter of the protocol.
    if (/[[\]]/.test(name)) throw notPlain();
    if (typeof value === 'string') add(name, value);
    else if (!isTexts(value)) throw notPlain();
    else if (name === REPEATABLE) value.forEach((single) => add(name, single));
    // A host's parser gives what was repeated as an array; one of a single value was written as one.
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
  return new OAuthError('invalid_request', 'A parameter is not a plain string');
}

function byText([name, value]: [string, string], [otherName, otherValue]: [string, string]): number {
  return compare(name, otherName) || compare(value, otherValue);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const NONE = parametersOf([]);

/** The query's parameters, from the URL itself: a host's query parser has no say. */
export function queryParameters(url: string): Parameters {
  const mark = url.indexOf('?');
  return mark < 0 ? NONE : parametersOf(new URLSearchParams(url.slice(mark + 1)));
}

/** @throws OAuthError `invalid_request` if a parameter was repeated, over-long or malformed. */
export function refuseFaults(parameters: Parameters): void {
  for (const [name, fault] of parameters.faults) {
    // The name is the sender's, and may stand on a page of ours.
    const what = /^[a-z_]{1,40}$/.test(name) ? `The parameter ${name}` : 'A parameter';
    throw new OAuthError('invalid_request', `${what} ${fault}`);
  }
}

/**
 * For what stands in a URL, or may come to stand there (RFC 6749 §2.3.1, RFC 6750 §2.3). What is allowed has a meaning of its
 * own at an endpoint.
 *
 * @throws OAuthError `invalid_request` if there is a secret among them
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
  return new OAuthError('invalid_request', `${name} must not be sent here`, {
    reason: 'secret out of place',
  });
}

/** @throws OAuthError `invalid_request` if the parameter is missing. */
export function required(parameters: Parameters, name: string): string {
  const value = parameters.get(name);
  if (value === undefined) throw new OAuthError('invalid_request', `${name} is missing`);
  return value;
}

/** Those of the given names only: what is ignored need not be kept. The faults of the others stay. */
export function only(parameters: Parameters, names: readonly string[]): Parameters {
  const kept = parametersOf(parameters.entries().filter(([name]) => names.includes(name)));
  return { ...kept, faults: parameters.faults };
}

/** With one parameter set to a value. */
export function withParameter(parameters: Parameters, name: string, value: string): Parameters {
  const others = parameters.entries().filter(([other]) => other !== name);
  return { ...parametersOf([...others, [name, value]]), faults: parameters.faults };
}
