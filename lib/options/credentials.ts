import { randomBytes } from 'node:crypto';

import { generatePrivateKey } from '../tokens/generated-key';
import { refuseUnknown } from '../adapters/contract';
import { OAuthConfigurationError } from '../errors';
import { replaceable, type Replaceable } from '../tokens/replaceable';
import { parseSigningKey, type SigningKey, type SigningKeyInput } from '../tokens/signing-key';
import { createSigningKeys, type DeferredKey, type SigningKeys } from '../tokens/signing-keys';
import type { AnyOptions } from './options';

/** The secrets and keys of a router, with every fault that was found. */
export interface Credentials {
  readonly secrets: readonly string[];
  readonly signingKeys: SigningKeys;
  readonly faults: readonly string[];
}

const SHARED_FAULT = '"signingKeys" contains one of the "secrets", which resource servers must not have';
const HINT = 'npx express-oauth-router init prints one';

/** Reads `secrets` and `signingKeys`; in development, generates those that are missing. */
export function readCredentials(options: AnyOptions, development: boolean): Credentials {
  const secrets = readSecrets(options, development);
  const keys = readSigningKeys(options, development);
  // Those with faults too.
  const given = Array.isArray(options.secrets) ? severalIn(options.secrets, SEVERAL_SECRETS) : [];
  const shared = keys.value.some((key) => 'privateKey' in key && isOneOf(given, key));
  return {
    secrets: secrets.value,
    signingKeys: createSigningKeys(replaceable(keys.value)),
    faults: [...secrets.faults, ...keys.faults, ...(shared ? [SHARED_FAULT] : [])],
  };
}

/** New secrets and keys for a server that runs: those that are left out stay. */
export interface ReloadedCredentials {
  /** As the option `secrets`. */
  secrets?: readonly (string | undefined)[] | undefined;
  /** As the option `signingKeys`: keys for the same algorithms in the same order. */
  signingKeys?: readonly (SigningKeyInput | undefined)[] | undefined;
}

/** Replaces the secrets and keys of a server. @throws OAuthConfigurationError with all faults; nothing is replaced then */
export type Reload = (credentials: ReloadedCredentials) => void;

export function createReload(current: { secrets: Replaceable<string>; signingKeys: SigningKeys }): Reload {
  return ({ secrets, signingKeys, ...unknown }) => {
    refuseUnknown('reload()', unknown);
    const given = { secrets, signingKeys } as unknown as AnyOptions;
    const ownSecrets: Read<string> =
      secrets === undefined ? { value: current.secrets.current, faults: [] } : readSecrets(given, false);
    const ownKeys =
      signingKeys === undefined ? undefined : (readSigningKeys(given, false) as Read<SigningKey>);
    const isShared = (ownKeys?.value ?? current.signingKeys.existing()).some((key) =>
      isOneOf(ownSecrets.value, key),
    );
    // No schema has looked at these.
    const unlisted = Object.entries({ secrets, signingKeys }).filter(
      ([, value]) => value !== undefined && !Array.isArray(value),
    );
    const faults = [
      ...unlisted.map(([name]) => `"${name}" must be an array`),
      ...ownSecrets.faults,
      ...(ownKeys?.faults ?? []),
      ...(isShared ? [SHARED_FAULT] : []),
    ];
    if (faults.length > 0) throw new OAuthConfigurationError(faults);
    try {
      if (ownKeys) current.signingKeys.replace(ownKeys.value);
    } catch (error) {
      throw new OAuthConfigurationError([`"signingKeys" ${(error as Error).message}`]);
    }
    if (secrets !== undefined) current.secrets.replace(ownSecrets.value);
  };
}

interface Read<T> {
  readonly value: readonly T[];
  readonly faults: readonly string[];
}

function readSecrets({ secrets }: AnyOptions, development: boolean): Read<string> {
  if (secrets === undefined && development)
    return { value: [randomBytes(32).toString('base64url')], faults: [] };
  // The schema reports a value that is not an array.
  if (secrets !== undefined && !Array.isArray(secrets)) return { value: [], faults: [] };
  if (secrets === undefined || secrets.length === 0)
    return { value: [], faults: [`"secrets" is missing: ${HINT}`] };
  const entries = severalIn(secrets, SEVERAL_SECRETS);
  const faults = entries.flatMap((secret, position) => {
    if (typeof secret !== 'string') return `"secrets[${position}]" is not set`;
    return Buffer.byteLength(secret) < 32
      ? `"secrets[${position}]" is weak: it must have at least 32 bytes`
      : [];
  });
  return { value: faults.length > 0 ? [] : (entries as string[]), faults };
}

/** Several secrets or keys in the forms that `init` prints, which `keys rotate` puts into one variable. */
const SEVERAL_SECRETS = /^[\w-]{43}(?:,[\w-]{43})+$/;
const SEVERAL_KEYS = /^eyJ[\w-]+(?:,eyJ[\w-]+)+$/;

function severalIn(entries: readonly unknown[], pattern: RegExp): readonly unknown[] {
  return entries.flatMap((entry) =>
    typeof entry === 'string' && pattern.test(entry) ? entry.split(',') : [entry],
  );
}

let developmentKeys: readonly (SigningKey | DeferredKey)[] | undefined;

function readSigningKeys({ signingKeys }: AnyOptions, development: boolean): Read<SigningKey | DeferredKey> {
  if (signingKeys === undefined && development) {
    // One set for the process: all routers that leave the option out share it.
    developmentKeys ??= [parseSigningKey(generatePrivateKey('ES256')), deferredRsaKey()];
    return { value: developmentKeys, faults: [] };
  }
  if (signingKeys !== undefined && !Array.isArray(signingKeys)) return { value: [], faults: [] };
  if (signingKeys === undefined || signingKeys.length === 0)
    return { value: [], faults: [`"signingKeys" is missing: ${HINT}`] };
  const faults: string[] = [];
  const entries = severalIn(signingKeys, SEVERAL_KEYS) as (SigningKeyInput | undefined)[];
  const keys = entries.flatMap((input, position) => {
    try {
      if (!input) throw new Error('is not set');
      return [parseSigningKey(input)];
    } catch (error) {
      faults.push(`"signingKeys[${position}]" ${(error as Error).message}`);
      return [];
    }
  });
  if (new Set(keys.map(({ kid }) => kid)).size < keys.length)
    faults.push('"signingKeys" contains two keys with the same kid');
  return { value: keys, faults };
}

/** Returns an RSA key that is created when it is first needed, and only once for all routers. */
function deferredRsaKey(): DeferredKey {
  let key: SigningKey | undefined;
  return {
    alg: 'RS256',
    existing: () => key,
    create: () => (key ??= parseSigningKey({ key: generatePrivateKey('RS256'), alg: 'RS256' })),
  };
}

function isOneOf(secrets: readonly unknown[], { privateKey }: SigningKey): boolean {
  if (privateKey.type !== 'secret') return false;
  const bytes = privateKey.export();
  return secrets.some((secret) => typeof secret === 'string' && Buffer.from(secret).equals(bytes));
}
