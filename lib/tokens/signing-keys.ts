import { SHARED_ALGORITHM, type SigningAlgorithm } from './algorithms';
import { decodeJwt, hasSignature, isType } from './jwt';
import type { Replaceable } from './replaceable';
import type { SigningKey } from './signing-key';

/** A key that is created when something first needs it: an RSA key takes a noticeable time to generate. Routers may share it. */
export interface DeferredKey {
  readonly alg: SigningAlgorithm;
  /** Returns the key if it has been created. */
  existing(): SigningKey | undefined;
  /** Returns the key, and creates it the first time. */
  create(): SigningKey;
}

/** The keys of this server. The first key for an algorithm signs; all keys verify. */
export interface SigningKeys {
  /** The key that signs by default. */
  readonly first: Pick<SigningKey, 'alg'> | undefined;
  /** The algorithms whose signatures can be verified with a public key: all except the algorithm of shared secrets. */
  readonly algorithms: readonly SigningAlgorithm[];
  /** Whether there is a key for an algorithm. */
  has(alg: string): boolean;
  /** Returns the first key, or the first key for one of the algorithms. @throws Error if there is none */
  signer(algorithms?: readonly string[]): SigningKey;
  /** The keys that have been created. */
  existing(): readonly SigningKey[];
  /**
   * Replaces the keys by others of the same algorithms, which everything else has been told.
   * @throws Error with a message that names the fault
   */
  replace(next: readonly SigningKey[]): void;
  /** Calls a function whenever the keys have been replaced. */
  onReplace(listener: () => void): void;
  /** Returns the public half of every key (RFC 7517 §5). */
  published(): readonly Readonly<Record<string, unknown>>[];
  /**
   * Reads a JWT that was signed here and has one of these types, in lower case. Times are not checked. The key is chosen by `kid`
   * among the server's keys, and only the key's own algorithm is accepted (RFC 8725 §3.1). A shared secret is accepted only for
   * claims that `sharedMaySign` allows.
   */
  read(
    token: string,
    types: readonly string[],
    sharedMaySign?: (claims: Readonly<Record<string, unknown>>) => boolean,
  ): VerifiedJwt | undefined;
}

/** A JWT that was signed here. */
export interface VerifiedJwt {
  /** `typ`, in lower case. */
  readonly type: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

export function createSigningKeys(keys: Replaceable<SigningKey | DeferredKey>): SigningKeys {
  const existing = (): readonly SigningKey[] =>
    keys.current.flatMap((key) => ('create' in key ? (key.existing() ?? []) : key));
  const keyOf = (key: SigningKey | DeferredKey): SigningKey => ('create' in key ? key.create() : key);

  function signer(algorithms?: readonly string[]): SigningKey {
    const key = keys.current.find(({ alg }) => !algorithms || algorithms.includes(alg));
    if (!key) throw new Error(`no signing key for ${algorithms?.join(', ') ?? 'any algorithm'}`);
    return keyOf(key);
  }

  function read(
    token: string,
    types: readonly string[],
    sharedMaySign: (claims: Readonly<Record<string, unknown>>) => boolean = () => false,
  ): VerifiedJwt | undefined {
    const jwt = decodeJwt(token);
    const key = existing().find(({ kid }) => kid === jwt?.header.kid);
    if (!key || jwt?.header.alg !== key.alg) return undefined;
    const type = types.find((expected) => isType(jwt.header.typ, expected));
    if (type === undefined) return undefined;
    if (key.alg === SHARED_ALGORITHM && !sharedMaySign(jwt.claims)) return undefined;
    return hasSignature(token, key.verificationKey, key.alg) ? { type, claims: jwt.claims } : undefined;
  }

  return {
    first: keys.current[0],
    algorithms: [...new Set(keys.current.flatMap(({ alg }) => (alg === SHARED_ALGORITHM ? [] : alg)))],
    has: (alg) => keys.current.some((key) => key.alg === alg),
    existing,
    replace: (next) => {
      const order = (list: readonly { readonly alg: string }[]): string =>
        [...new Set(list.map(({ alg }) => alg))].join();
      if (order(next) !== order(keys.current))
        throw new Error('must have the same algorithms as before, in the same order: others need a restart');
      keys.replace(next);
    },
    onReplace: keys.onReplace,
    signer,
    // Creates the deferred keys too: a client that caches the key set must find every key in it that will sign its tokens.
    published: () => keys.current.map((key) => keyOf(key).publicJwk).filter((jwk) => jwk !== undefined),
    read,
  };
}
