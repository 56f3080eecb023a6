import type { Request } from 'express';

import type { ClientRecord } from '../clients/client';
import type { KeySet } from '../clients/key-sets';
import type { ClientRegistry } from '../clients/registry';
import { invalidRequest, OAuthError } from '../errors';
import { networkOfSender } from '../http/network';
import { parametersOf, type Parameters } from '../http/parameters';
import { FAPI_ALGORITHMS, isSameAlgorithm, VERIFICATION_ALGORITHMS } from '../tokens/algorithms';
import { decodeJwt, hasSignature, isType, type DecodedJwt } from '../tokens/jwt';
import { refuseImplausible } from './redirect-target';
import { REQUEST_PARAMETERS } from './request';

export interface RequestObjectOptions {
  issuer: string;
  registry: ClientRegistry;
  keySetOf: (record: ClientRecord) => KeySet;
  allowHttp: boolean;
  clock: () => number;
}

/** Reads the parameters of a signed request object; those outside of it are ignored. @throws OAuthError `invalid_request_object` */
export type RequestObjects = (req: Request, outer: Parameters) => Promise<Parameters>;

/** Seconds. */
const SKEW = 10;
const HOUR = 3600;
/** Claims of the JWT itself, and a parameter of this server. */
const NOT_PARAMETERS = ['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'resume'];

/** Reads `request` by value. @see RFC 9101 §4, §6 and §10, OpenID Connect Core §6.1 */
export function createRequestObjects(options: RequestObjectOptions): RequestObjects {
  const { issuer, registry, keySetOf, allowHttp, clock } = options;

  return async (req, outer) => {
    const object = outer.get('request');
    const clientId = outer.get('client_id');
    if (object === undefined) throw invalid(`it ${outer.faults.get('request') ?? 'is missing'}`);
    if (clientId === undefined) throw invalidRequest('client_id is missing');
    const jwt = decodeJwt(object);
    if (!jwt) throw invalid('it is malformed');
    const parameters = parametersOf(Object.entries(jwt.claims).flatMap(parameter));
    if (registry.mayBeDocument(clientId)) {
      const fault = claimsFault(jwt, { clientId, fapi: false }, issuer, clock() / 1000);
      if (fault !== undefined) throw invalid(fault);
      refuseImplausible(parameters, allowHttp);
    }
    const record = await registry.find(clientId, { mayFetch: true, source: networkOfSender(req) });
    if (!record) throw invalidRequest('The client is unknown', { reason: 'unknown client' });
    const fault = headerFault(jwt, record) ?? claimsFault(jwt, record.client, issuer, clock() / 1000);
    if (fault !== undefined) throw invalid(fault);
    await verify(object, jwt, record);
    return parameters;
  };

  async function verify(object: string, { header }: DecodedJwt, record: ClientRecord): Promise<void> {
    const keys = await keySetOf(record)
      .find(header)
      .catch((cause: unknown) => {
        throw new OAuthError('invalid_request_object', 'The keys of the client cannot be fetched', { cause });
      });
    if (!keys.some((key) => hasSignature(object, key, header.alg))) {
      throw invalid('no key of the client has signed it');
    }
  }
}

function headerFault({ header }: DecodedJwt, { client }: ClientRecord): string | undefined {
  const { alg, typ } = header;
  const known = VERIFICATION_ALGORITHMS.find((algorithm) => algorithm === alg);
  if (!known) return 'it is not signed, or its algorithm is not supported';
  const { requestObjectSigningAlg: registered } = client.metadata;
  if (registered !== undefined && !isSameAlgorithm(registered, known))
    return `its algorithm must be ${registered}`;
  if (client.fapi && !FAPI_ALGORITHMS.includes(known))
    return 'its algorithm is not allowed by the FAPI profile';
  // RFC 9101 §10.8: a JWT for another purpose has another type.
  const forThis = typ === undefined || isType(typ, 'oauth-authz-req+jwt') || isType(typ, 'jwt');
  return forThis ? undefined : 'it has the wrong typ';
}

function claimsFault(
  { claims }: DecodedJwt,
  { clientId, fapi }: { readonly clientId: string; readonly fapi: boolean },
  issuer: string,
  now: number,
): string | undefined {
  const { iss, sub, aud, exp, nbf, client_id: inner } = claims;
  if (iss !== clientId || inner !== clientId) return 'its iss and client_id must be the client';
  if ('request' in claims || 'request_uri' in claims) return 'it must not contain request or request_uri';
  // RFC 9101 §10.8: only a client assertion has the client as `sub`.
  if (sub === clientId) return 'it must not have the client as sub';
  if (![aud].flat().includes(issuer)) return 'its aud must be the issuer';
  if (exp === undefined ? fapi : !(typeof exp === 'number' && exp > now - SKEW))
    return 'it has expired or lacks exp';
  if (nbf === undefined ? fapi : !(typeof nbf === 'number' && nbf <= now + SKEW))
    return 'it is not valid yet or lacks nbf';
  if (!fapi) return undefined;
  // FAPI 2.0 Message Signing §5.3.1
  if (Number(nbf) < now - HOUR - SKEW) return 'its nbf is more than an hour ago';
  return Number(exp) > Number(nbf) + HOUR ? 'its exp is more than an hour after its nbf' : undefined;
}

/** Returns the parameters of a request object, whoever may have made it. */
export function unverifiedParameters(object: string): Parameters {
  const claims = decodeJwt(object)?.claims ?? {};
  return parametersOf(Object.entries(claims).flatMap(parameter));
}

/** Converts JSON's types to the text of a query: a number for `max_age`, an object for `claims`, a list for `resource`. */
function parameter([name, value]: [string, unknown]): [string, unknown][] {
  if (NOT_PARAMETERS.includes(name)) return [];
  if (name === 'resource' || typeof value === 'string') return [[name, value]];
  if (typeof value === 'number' || typeof value === 'boolean') return [[name, String(value)]];
  if (name === 'claims' && typeof value === 'object') return [[name, JSON.stringify(value)]];
  if (REQUEST_PARAMETERS.includes(name)) throw invalid(`its ${name} is not text`);
  return [];
}

function invalid(what: string): OAuthError {
  return new OAuthError('invalid_request_object', `The request object is refused: ${what}`, { reason: what });
}
