import { createSecretKey, type KeyObject } from 'node:crypto';

import type { Store } from '../adapters/store';
import { sha256 } from '../digest';
import { invalidRequest } from '../errors';
import type { Parameters } from '../http/parameters';
import { FAPI_ALGORITHMS, isSameAlgorithm, VERIFICATION_ALGORITHMS } from '../tokens/algorithms';
import { decodeJwt, hasSignature, isJti, isType, type DecodedJwt } from '../tokens/jwt';
import type { Sealer } from '../tokens/keys';
import type { ClientAuthenticationMethod } from './authentication-method';
import type { ClientRecord } from './client';
import type { KeySet } from './key-sets';

export interface ClientAssertionOptions {
  issuer: string;
  /** The endpoints whose URL may be the audience: the token endpoint (RFC 7523 §3) and the PAR endpoint (RFC 9126 §2). */
  endpointUrls: readonly string[];
  keySetOf: (record: ClientRecord) => KeySet;
  /** Opens the secrets of `client_secret_jwt` clients. */
  clientSecretSealer: Sealer;
  store: Pick<Store, 'setOnce'>;
  clock: () => number;
  /** The maximum length of an assertion. Characters. */
  clientAssertionMaximumLength: number;
}

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
/** The accepted values of `typ`, which may also be absent (RFC 8725 §3.11). */
const TYPES = ['jwt', 'client-authentication+jwt'];
const SECRET_ALGORITHMS = ['HS256', 'HS384', 'HS512'];
/** How far ahead `exp` may be: some libraries set it to an hour, and the assertion is remembered as long. Seconds. */
const MAXIMUM_LIFETIME = 3600;
/** The same for clients with the FAPI profile. Seconds. */
const MAXIMUM_FAPI_LIFETIME = 300;
/** How far clients' clocks may differ. Seconds. */
const SKEW = 10;

/**
 * Creates the authentication method for `private_key_jwt` and `client_secret_jwt`.
 *
 * @see RFC 7521 §4.2, RFC 7523 §3, OpenID Connect Core §9
 */
export function createAssertionMethod(options: ClientAssertionOptions): ClientAuthenticationMethod {
  const { issuer, endpointUrls, keySetOf, clientSecretSealer, store, clock } = options;
  const issuers = [issuer, issuer.endsWith('/') ? issuer.slice(0, -1) : `${issuer}/`];

  return (_req, parameters: Parameters) => {
    const assertion = parameters.get('client_assertion');
    if (assertion === undefined) return undefined;
    if (parameters.get('client_assertion_type') !== ASSERTION_TYPE) {
      throw invalidRequest(`client_assertion_type must be ${ASSERTION_TYPE}`);
    }
    const jwt = assertion.length > options.clientAssertionMaximumLength ? undefined : decodeJwt(assertion);
    const { sub } = jwt?.claims ?? {};
    const bySecret = SECRET_ALGORITHMS.includes(jwt?.header.alg ?? '');
    return {
      methods: [bySecret ? 'client_secret_jwt' : 'private_key_jwt'],
      clientIds: [typeof sub === 'string' ? sub : (parameters.get('client_id') ?? '')],
      fault: async (record) => {
        if (!jwt) return 'assertion malformed or too long';
        return (
          claimsFault(jwt, record) ??
          (await signatureFault(assertion, jwt, record)) ??
          (await reuse(assertion, jwt, record))
        );
      },
    };
  };

  function claimsFault({ header, claims }: DecodedJwt, { client }: ClientRecord): string | undefined {
    const { iss, sub, exp, nbf, iat, jti } = claims;
    const aud = client.fapi ? claims.aud : audienceOf(claims);
    const maximumLifetime = client.fapi ? MAXIMUM_FAPI_LIFETIME : MAXIMUM_LIFETIME;
    const now = clock() / 1000;
    const { tokenEndpointAuthSigningAlg: alg } = client.metadata;
    if (alg !== undefined && !isSameAlgorithm(header.alg, alg))
      return `signed with an algorithm other than ${alg}`;
    if (!TYPES.some((type) => isType(header.typ ?? 'jwt', type))) return 'a JWT of another type';
    if (client.fapi && !FAPI_ALGORITHMS.includes(header.alg))
      return 'algorithm not allowed by the FAPI profile';
    if (iss !== client.clientId || sub !== client.clientId) return 'iss or sub is not the client';
    // draft-ietf-oauth-rfc7523bis: `aud` must be one string, so that no other server can replay the assertion here.
    const accepted = client.fapi ? [issuer] : [...issuers, ...endpointUrls];
    if (typeof aud !== 'string' || !accepted.includes(aud)) return 'for another audience';
    if (typeof exp !== 'number' || exp <= now - SKEW) return 'expired, or without a valid exp';
    if (exp > now + maximumLifetime + SKEW) return `valid for more than ${maximumLifetime} s`;
    if (nbf !== undefined && !(typeof nbf === 'number' && nbf <= now + SKEW)) return 'not valid yet';
    if (iat !== undefined && !(typeof iat === 'number' && iat <= now + SKEW)) return 'issued in the future';
    if (jti === undefined ? client.fapi : !isJti(jti)) return 'invalid jti';
    return undefined;
  }

  async function signatureFault(
    assertion: string,
    { header }: DecodedJwt,
    record: ClientRecord,
  ): Promise<string | undefined> {
    const { alg } = header;
    const known = [...VERIFICATION_ALGORITHMS, ...SECRET_ALGORITHMS].find((algorithm) => algorithm === alg);
    if (!known) return 'unknown algorithm';
    const keys = SECRET_ALGORITHMS.includes(known) ? secretKeys(record) : await publicKeys(header, record);
    if (typeof keys === 'string') return keys;
    if (keys.length === 0) return 'no such key';
    return keys.some((key) => hasSignature(assertion, key, known)) ? undefined : 'wrong signature';
  }

  function secretKeys({ sealedSecrets }: ClientRecord): KeyObject[] {
    return sealedSecrets.flatMap((sealed) => {
      const secret = clientSecretSealer.open(sealed);
      return secret === undefined ? [] : [createSecretKey(Buffer.from(secret))];
    });
  }

  /** Returns the client's keys, or the reason why they cannot be fetched, which only the operator sees. */
  async function publicKeys(
    header: DecodedJwt['header'],
    record: ClientRecord,
  ): Promise<readonly KeyObject[] | string> {
    try {
      return await keySetOf(record).find(header);
    } catch (error) {
      return (error as Error).message;
    }
  }

  /** Marks an assertion as used until it has expired in every process: a second use is a fault (RFC 7523 §3). */
  async function reuse(
    assertion: string,
    { claims }: DecodedJwt,
    { client }: ClientRecord,
  ): Promise<string | undefined> {
    // RFC 7523 §3 does not require `jti`: without it, what was signed is remembered. ECDSA has two signatures for each.
    const hasId = typeof claims.jti === 'string';
    const id = hasId ? { jti: claims.jti } : { signed: assertion.slice(0, assertion.lastIndexOf('.')) };
    const digest = sha256(JSON.stringify([client.clientId, id]));
    const lifetime = Math.ceil(Number(claims.exp) - clock() / 1000) + 2 * SKEW;
    const first = await store.setOnce(`assertion:${digest}`, lifetime);
    if (first) return undefined;
    return hasId ? 'used before' : 'used before: without jti, all assertions of one second are the same';
  }
}

/** Returns `aud`. A list of one is the same as its value (RFC 7519 §4.1.3); a longer one would let another server replay the assertion. */
function audienceOf({ aud }: DecodedJwt['claims']): unknown {
  return Array.isArray(aud) && aud.length === 1 ? (aud[0] as unknown) : aud;
}
