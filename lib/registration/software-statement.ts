import { LRUCache } from 'lru-cache';

import type { JwkSet } from '../adapters/contract';
import { createClientKeySets, type KeySet } from '../clients/key-sets';
import type { WireMetadata } from '../clients/rfc7591';
import { OAuthError } from '../errors';
import type { Outbound } from '../http/outbound';
import { decodeJwt, hasSignature } from '../tokens/jwt';
import { VERIFICATION_ALGORITHMS } from '../tokens/algorithms';

/** The public keys of an issuer of software statements. */
export interface SoftwareStatementKeys {
  /** The keys themselves. */
  jwks?: JwkSet;
  /** The URL of the keys. */
  jwksUri?: string;
}

/** Reads a software statement. @throws OAuthError `invalid_software_statement`, `unapproved_software_statement` */
export type ReadSoftwareStatement = (statement: unknown) => Promise<WireMetadata>;

/** How far clocks may differ. Seconds. */
const SKEW = 10;
const MAXIMUM_LENGTH = 8192;

/** @see RFC 7591 §2.3 and §3.1.1 */
export function createReadSoftwareStatement(options: {
  /** By the value of `iss`. */
  issuers: Readonly<Record<string, SoftwareStatementKeys>>;
  fetch: Outbound;
  clock: () => number;
}): ReadSoftwareStatement {
  const { issuers, fetch, clock } = options;
  const keySetOf = createClientKeySets({ fetch, clock });
  const keySets = new LRUCache<string, KeySet>({ max: 1000 });

  return async (statement) => {
    const text = typeof statement === 'string' && statement.length <= MAXIMUM_LENGTH ? statement : '';
    const jwt = decodeJwt(text);
    if (!jwt) throw invalid('it is malformed or too long');
    const { iss, exp, nbf } = jwt.claims;
    const issuer = typeof iss === 'string' && Object.hasOwn(issuers, iss) ? issuers[iss] : undefined;
    if (typeof iss !== 'string' || !issuer) {
      const description = 'The issuer of the software_statement is not known here';
      throw new OAuthError('unapproved_software_statement', description);
    }
    const keySet = keySets.get(iss) ?? keySetOf({ jwks: issuer.jwks, jwksUri: issuer.jwksUri });
    keySets.set(iss, keySet);
    const { alg } = jwt.header;
    const keys = VERIFICATION_ALGORITHMS.some((known) => known === alg)
      ? await keysOf(keySet, jwt.header)
      : [];
    if (!keys.some((key) => hasSignature(text, key, alg))) throw invalid('it was not signed by its issuer');
    const now = clock() / 1000;
    if (exp !== undefined && !(typeof exp === 'number' && exp > now - SKEW)) throw invalid('it has expired');
    if (nbf !== undefined && !(typeof nbf === 'number' && nbf <= now + SKEW))
      throw invalid('it is not valid yet');
    return jwt.claims;
  };
}

async function keysOf(keySet: KeySet, header: { alg: string; kid?: unknown }): ReturnType<KeySet['find']> {
  return keySet.find(header).catch((cause: unknown) => {
    throw new OAuthError('temporarily_unavailable', 'The keys of the software statement cannot be fetched', {
      cause,
    });
  });
}

function invalid(what: string): OAuthError {
  return new OAuthError('invalid_software_statement', `The software_statement is refused: ${what}`);
}
