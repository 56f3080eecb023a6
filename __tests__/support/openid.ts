import * as jose from 'jose';
import request from 'supertest';

import type { ClientOptions } from 'express-oauth-router';

import { CLIENTS, makeHost, type Host, type HostOptions, type Variant } from './host';
import { keyPair } from './keys';

/** Generated once, because an RSA key takes a long time. */
export const RSA = keyPair('RS256').privateKey;
export const EC = keyPair().privateKey;
export const SIGNING_KEYS = [EC, { key: RSA, alg: 'RS256' as const }];

const SCOPE = 'openid profile email address phone offline_access orders:read';

export const OPENID_CLIENTS: ClientOptions[] = [
  { ...CLIENTS.web, scope: SCOPE, postLogoutRedirectUris: ['https://app.example.com/bye'] },
  { ...CLIENTS.spa, scope: SCOPE },
  { ...CLIENTS.third, scope: SCOPE },
  { ...CLIENTS.old, scope: SCOPE },
  { ...CLIENTS.post, scope: SCOPE },
  CLIENTS.machine,
  CLIENTS.api,
];

/** All claims of a test user. */
export const ALICE = {
  name: 'Alice Adams',
  given_name: 'Alice',
  nickname: null,
  email: 'alice@example.com',
  email_verified: true,
  address: { locality: 'Oxford' },
  phone_number: '+44 1865 270000',
  'https://example.com/role': 'admin',
};

/** Creates a host with OpenID Connect: clients with the standard scopes, and claims of users. */
export function openidHost(variant: Variant, options: HostOptions = {}): Host {
  const host = makeHost(variant, {
    clients: OPENID_CLIENTS,
    signingKeys: SIGNING_KEYS,
    userClaims: () => ALICE,
    ...options,
  });
  host.user = { id: 'alice', authTime: Math.floor(host.now / 1000) - 100 };
  return host;
}

/** Verifies a JWT as a client does, with the published keys. */
export async function verified(
  host: Host,
  token: string,
  audience: string,
): Promise<{ payload: jose.JWTPayload; header: jose.JWTHeaderParameters }> {
  const { body } = await request(host.app).get(`${host.base}/jwks`);
  const { payload, protectedHeader } = await jose.jwtVerify(
    token,
    jose.createLocalJWKSet(body as jose.JSONWebKeySet),
    { issuer: host.issuer, audience, currentDate: new Date(host.now) },
  );
  return { payload, header: protectedHeader };
}
