import request from 'supertest';

import {
  claimsOf,
  getCode,
  getTokens,
  isActive,
  makeHost,
  post,
  redeem,
  refresh,
  VARIANTS,
  type Host,
} from '../support/host';

describe.each(VARIANTS)('POST /revoke (RFC 7009) on $store at the $mount', (variant) => {
  let host: Host;
  beforeEach(() => {
    host = makeHost(variant);
  });

  it('a refresh token ends the grant, whatever the hint says', async () => {
    for (const hint of [undefined, 'refresh_token', 'access_token', 'nonsense']) {
      const tokens = await getTokens(host);
      const response = await post(host, '/revoke', 'web', {
        token: tokens.refresh_token,
        token_type_hint: hint,
      });
      expect([response.status, response.body]).toEqual([200, {}]);
      expect(response.headers).toMatchObject({
        'cache-control': 'no-store',
        'access-control-allow-origin': '*',
      });
      expect((await refresh(host, 'web', tokens.refresh_token)).status).toBe(400);
      expect(await isActive(host, tokens.access_token)).toBe(false);
    }
  });

  it('a refresh token of any generation ends the grant', async () => {
    const first = await getTokens(host);
    const second = await refresh(host, 'web', first.refresh_token);
    await post(host, '/revoke', 'web', { token: first.refresh_token });
    expect((await refresh(host, 'web', second.body.refresh_token as string)).status).toBe(400);
  });

  it('a code ends the grant, spent or not', async () => {
    const unspent = await getCode(host);
    await post(host, '/revoke', 'web', { token: unspent.code });
    expect((await redeem(host, 'web', unspent)).status).toBe(400);
    const spent = await getCode(host);
    const { body } = await redeem(host, 'web', spent);
    await post(host, '/revoke', 'web', { token: spent.code });
    expect((await refresh(host, 'web', body.refresh_token as string)).status).toBe(400);
  });

  it.each(['jwt', 'opaque'] as const)('an access token (%s) ends alone', async (accessTokenFormat) => {
    const own = makeHost(variant, { accessTokenFormat });
    const tokens = await getTokens(own);
    const other = await refresh(own, 'web', tokens.refresh_token);
    await post(own, '/revoke', 'web', { token: tokens.access_token, token_type_hint: 'refresh_token' });
    expect(await isActive(own, tokens.access_token)).toBe(false);
    expect(await isActive(own, other.body.access_token as string)).toBe(true);
    expect((await refresh(own, 'web', other.body.refresh_token as string)).status).toBe(200);
  });

  it('unknown, malformed and expired tokens are a success', async () => {
    const expired = await getTokens(host);
    host.pass(366 * 86_400);
    for (const token of [
      'x',
      'a.b.c',
      '€',
      expired.access_token,
      expired.refresh_token,
      `${expired.refresh_token}x`,
    ]) {
      expect((await post(host, '/revoke', 'web', { token })).status).toBe(200);
    }
  });

  it('a revoked access token stays revoked where a clock is behind', async () => {
    const { access_token: token } = await getTokens(host);
    host.pass(3595);
    await post(host, '/revoke', 'web', { token });
    // On another process it is ten seconds earlier when it looks, and the mark is still there after its own end.
    host.pass(4);
    expect(await isActive(host, token)).toBe(false);
    host.pass(10);
    host.pass(-12);
    expect(await isActive(host, token)).toBe(false);
  });

  it('a mark of the store that is no string is an error, not a good token', async () => {
    const { access_token: token } = await getTokens(host);
    const own = makeHost(variant, {
      adapter: { ...host.adapter, get: () => Promise.resolve(Buffer.from('1') as never) },
    });
    const issued = await getTokens(own);
    expect((await post(own, '/introspect', 'web', { token: issued.access_token })).status).toBe(500);
    expect(await isActive(host, token)).toBe(true);
  });

  it('a token of another client is refused, and lives', async () => {
    const tokens = await getTokens(host);
    for (const token of [tokens.refresh_token, tokens.access_token]) {
      const response = await post(host, '/revoke', 'third', { token });
      expect([response.status, response.body.error]).toEqual([400, 'invalid_grant']);
    }
    expect(await isActive(host, tokens.access_token)).toBe(true);
    expect((await refresh(host, 'web', tokens.refresh_token)).status).toBe(200);
  });

  it('a public client revokes its own', async () => {
    const tokens = await getTokens(host, 'spa');
    expect((await post(host, '/revoke', 'spa', { token: tokens.refresh_token })).status).toBe(200);
    expect((await refresh(host, 'spa', tokens.refresh_token)).status).toBe(400);
  });

  it('authenticates the client first', async () => {
    const tokens = await getTokens(host);
    const wrong = await request(host.app)
      .post(`${host.base}/revoke`)
      .type('form')
      .auth('web', 'wrong')
      .send({ token: tokens.refresh_token });
    expect([wrong.status, wrong.body.error]).toEqual([401, 'invalid_client']);
    expect((await post(host, '/revoke', 'web', {})).body.error).toBe('invalid_request');
    expect((await post(host, '/revoke', undefined, { token: tokens.refresh_token })).status).toBe(401);
    expect(await isActive(host, tokens.access_token)).toBe(true);
  });
});

describe.each(VARIANTS)('POST /introspect (RFC 7662) on $store at the $mount', (variant) => {
  let host: Host;
  beforeEach(() => {
    host = makeHost(variant);
  });

  it.each(['jwt', 'opaque'] as const)(
    'tells a client about its own access token (%s)',
    async (accessTokenFormat) => {
      const own = makeHost(variant, { accessTokenFormat });
      const { access_token: token } = await getTokens(own);
      const response = await post(own, '/introspect', 'web', { token });
      const iat = Math.floor(own.now / 1000);
      expect(response.body).toEqual({
        active: true,
        token_type: 'Bearer',
        iss: own.issuer,
        sub: 'alice',
        aud: own.issuer,
        client_id: 'web',
        scope: 'profile orders:read orders:write',
        iat,
        exp: iat + 3600,
        jti: expect.any(String) as string,
      });
      expect(response.headers['cache-control']).toBe('no-store');
      expect(response.headers).not.toHaveProperty('access-control-allow-origin');
    },
  );

  it('tells a client about its own refresh token, the current one only', async () => {
    const first = await getTokens(host);
    const { body } = await post(host, '/introspect', 'web', { token: first.refresh_token });
    expect(body).toMatchObject({ active: true, client_id: 'web', sub: 'alice', scope: first.scope });
    await refresh(host, 'web', first.refresh_token);
    expect((await post(host, '/introspect', 'web', { token: first.refresh_token })).body).toEqual({
      active: false,
    });
  });

  it('says nothing but inactive of whatever else', async () => {
    const tokens = await getTokens(host);
    const { code } = await getCode(host);
    const foreign = await getTokens(makeHost(variant));
    const tampered = tokens.access_token.slice(0, -8) + 'AAAAAAAA';
    for (const token of ['x', 'a.b.c', code, foreign.access_token, tampered]) {
      expect((await post(host, '/introspect', 'web', { token })).body).toEqual({ active: false });
    }
    for (const token of [tokens.access_token, tokens.refresh_token]) {
      expect((await post(host, '/introspect', 'third', { token })).body).toEqual({ active: false });
    }
    host.pass(3600);
    expect((await post(host, '/introspect', 'web', { token: tokens.access_token })).body).toEqual({
      active: false,
    });
  });

  it('tells a resource server about tokens for its audience', async () => {
    const orders = (
      await redeem(host, 'web', await getCode(host, 'web', { resource: 'https://orders.example.com' }))
    ).body;
    const { access_token: other, refresh_token: refreshToken } = await getTokens(host);
    expect(
      (await post(host, '/introspect', 'api', { token: orders.access_token as string })).body,
    ).toMatchObject({ active: true, sub: 'alice' });
    expect((await post(host, '/introspect', 'api', { token: other })).body).toEqual({ active: false });
    expect((await post(host, '/introspect', 'api', { token: refreshToken })).body).toEqual({ active: false });
  });

  it('dies with the client', async () => {
    const machine = await post(host, '/token', 'machine', { grant_type: 'client_credentials' });
    const token = machine.body.access_token as string;
    expect(await isActive(host, token, 'machine')).toBe(true);
    const without = makeHost(variant, {
      adapter: host.adapter,
      clients: [
        {
          clientId: 'web',
          clientSecret: 'web-secret',
          redirectUris: ['https://a.example/'],
          introspectionAudiences: [host.issuer],
        },
      ],
      signingKeys: [KEY],
    });
    const withKey = makeHost(variant, { adapter: host.adapter, signingKeys: [KEY] });
    const issued = await post(withKey, '/token', 'machine', { grant_type: 'client_credentials' });
    expect(await isActive(withKey, issued.body.access_token as string, 'machine')).toBe(true);
    expect(await isActive(without, issued.body.access_token as string)).toBe(false);
  });

  it('a claim of the host cannot make a token look active or like another', async () => {
    const own = makeHost(variant, { claims: () => ({ active: false, token_type: 'N_A', role: 'admin' }) });
    const { access_token: token } = await getTokens(own);
    expect((await post(own, '/introspect', 'web', { token })).body).toMatchObject({
      active: true,
      token_type: 'Bearer',
      role: 'admin',
    });
    expect(claimsOf(token).role).toBe('admin');
  });

  it('needs a client with credentials', async () => {
    const { access_token: token } = await getTokens(host, 'spa');
    const response = await post(host, '/introspect', 'spa', { token });
    expect([response.status, response.body.error]).toEqual([401, 'invalid_client']);
    expect((await post(host, '/introspect', undefined, { token })).status).toBe(401);
  });
});

const KEY = {
  kty: 'EC',
  crv: 'P-256',
  alg: 'ES256',
  kid: 'shared',
  d: 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI',
  x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
  y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
};
