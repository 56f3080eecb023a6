import jwt from 'jsonwebtoken';
import request from 'supertest';

import { OAuthConfigurationError } from 'express-oauth-router';

import {
  CLIENTS,
  getCode,
  getTokens,
  isActive,
  makeHost,
  redeem,
  refresh,
  SECRET,
  STORES,
  type Host,
} from '../support/host';
import { ASSERTION_TYPE } from '../support/jose';
import { keyPair } from '../support/keys';

const ORIGINAL = keyPair().privateKey;
const NEXT = keyPair().privateKey;
const NEW_SECRET = 'another secret of the tests, with more than 32 bytes';

describe.each(STORES)('oauth.reload() on $store', (variant) => {
  let host: Host;

  beforeEach(
    () =>
      (host = makeHost(variant, {
        signingKeys: [ORIGINAL],
        protect: (app, oauth) =>
          app.get('/api', oauth.requireToken(), (_req, res) => void res.json('the API')),
      })),
  );

  const call = async (token: string): Promise<number> =>
    (await request(host.app).get('/api').set('Authorization', `Bearer ${token}`)).status;
  const kidOf = (token: string): string => jwt.decode(token, { complete: true })!.header.kid!;
  const published = async (): Promise<string[]> => {
    const { body } = await request(host.app).get(`${host.base}/jwks`);
    return (body as { keys: { kid: string }[] }).keys.map(({ kid }) => kid);
  };

  it('signs with the first key, and verifies with all', async () => {
    const before = await getTokens(host);
    host.oauth.reload({ signingKeys: [ORIGINAL, NEXT] });
    expect(await published()).toHaveLength(2);
    expect(kidOf((await getTokens(host)).access_token)).toBe(kidOf(before.access_token));
    host.oauth.reload({ signingKeys: [NEXT, ORIGINAL] });
    const after = await getTokens(host);
    expect(kidOf(after.access_token)).not.toBe(kidOf(before.access_token));
    expect(await call(before.access_token)).toBe(200);
    expect(await call(after.access_token)).toBe(200);
  });

  it('a key that is gone verifies nothing, not even a token that was seen before', async () => {
    const { access_token: token } = await getTokens(host);
    expect(await call(token)).toBe(200);
    host.oauth.reload({ signingKeys: [NEXT] });
    expect(await call(token)).toBe(401);
    expect(await isActive(host, token)).toBe(false);
    expect(await published()).toEqual([kidOf((await getTokens(host)).access_token)]);
  });

  it('secrets: the first one signs, all verify, and what is gone verifies nothing', async () => {
    const tokens = await getTokens(host);
    const issued = await getCode(host);
    host.oauth.reload({ secrets: [NEW_SECRET, SECRET] });
    expect((await redeem(host, 'web', issued)).status).toBe(200);
    const renewed = await refresh(host, 'web', tokens.refresh_token);
    expect(renewed.status).toBe(200);
    const old = await getCode(host);
    host.oauth.reload({ secrets: [NEW_SECRET] });
    const { refresh_token: token } = renewed.body as { refresh_token: string };
    // It was signed with the new secret, as was the code; the first refresh token was not.
    expect((await refresh(host, 'web', token)).status).toBe(200);
    expect((await redeem(host, 'web', old)).status).toBe(200);
    expect((await refresh(host, 'web', tokens.refresh_token)).status).toBe(400);
    host.oauth.reload({ secrets: ['a third secret of the tests that has 32 bytes'] });
    expect((await refresh(host, 'web', token)).status).toBe(400);
  });

  it('an opaque access token ends with its secret, seen before or not', async () => {
    const opaque = makeHost(variant, { accessTokenFormat: 'opaque' });
    const { access_token: token } = await getTokens(opaque);
    expect(await isActive(opaque, token)).toBe(true);
    opaque.oauth.reload({ secrets: [NEW_SECRET, SECRET] });
    expect(await isActive(opaque, token)).toBe(true);
    opaque.oauth.reload({ secrets: [NEW_SECRET] });
    expect(await isActive(opaque, token)).toBe(false);
  });

  it('the secrets of the clients in the options stay readable', async () => {
    const clientSecret = 'a secret for assertions with more than 32 bytes';
    const signing = makeHost(variant, {
      clients: [{ ...CLIENTS.machine, clientSecret, tokenEndpointAuthMethod: 'client_secret_jwt' }],
    });
    signing.oauth.reload({ secrets: [NEW_SECRET] });
    const now = Math.floor(signing.now / 1000);
    const claims = {
      iss: 'machine',
      sub: 'machine',
      aud: signing.issuer,
      jti: 'one',
      iat: now,
      exp: now + 60,
    };
    const { status } = await request(signing.app)
      .post(`${signing.base}/token`)
      .type('form')
      .send({
        grant_type: 'client_credentials',
        client_assertion_type: ASSERTION_TYPE,
        client_assertion: jwt.sign(claims, clientSecret, { algorithm: 'HS256' }),
      });
    expect(status).toBe(200);
  });

  it('a secret must not be the key that a resource server holds', () => {
    const shared = makeHost(variant, { signingKeys: [ORIGINAL, { key: NEW_SECRET, alg: 'HS256' }] });
    expect(() => shared.oauth.reload({ secrets: [NEW_SECRET] })).toThrow(/resource servers must not have/);
    const listed = `${'a'.repeat(43)},${'b'.repeat(43)}`;
    expect(() =>
      makeHost(variant, {
        secrets: [listed],
        signingKeys: [ORIGINAL, { key: 'b'.repeat(43), alg: 'HS256' }],
      }),
    ).toThrow(/resource servers must not have/);
  });

  it('replaces nothing if anything is wrong', async () => {
    const tokens = await getTokens(host);
    for (const credentials of [
      { secrets: ['weak'] },
      { secrets: [] },
      { secrets: null as never },
      { secrets: NEW_SECRET as never },
      { signingKeys: {} as never },
      { secrets: [undefined] },
      { signingKeys: [] },
      { signingKeys: [undefined] },
      { signingKeys: [{ key: keyPair('RS256').privateKey, alg: 'RS256' as const }] },
      {
        secrets: [NEW_SECRET],
        signingKeys: [NEXT, { key: keyPair('RS256').privateKey, alg: 'RS256' as const }],
      },
      { signingKeys: [ORIGINAL], secrets: ['weak'] },
    ])
      expect(() => host.oauth.reload(credentials)).toThrow(OAuthConfigurationError);
    expect(() => host.oauth.reload({ secret: [NEW_SECRET] } as never)).toThrow(TypeError);
    expect(await call(tokens.access_token)).toBe(200);
    expect((await refresh(host, 'web', tokens.refresh_token)).status).toBe(200);
    expect(await published()).toEqual([kidOf(tokens.access_token)]);
  });
});
