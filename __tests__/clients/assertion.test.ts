import { randomUUID } from 'node:crypto';

import * as jose from 'jose';
import request from 'supertest';

import type { ClientOptions } from 'express-oauth-router';

import { CALLBACK, CLIENTS, makeHost, ORDERS, VARIANTS, type Form } from '../support/host';
import { assertion, ASSERTION_TYPE, clientKey, type Claims, type ClientKey } from '../support/jose';

const JWT_SECRET = 'a client secret of thirty-two bytes or more';

describe.each(VARIANTS)('client assertions (RFC 7523) on $store at the $mount', (variant) => {
  const algorithms = [
    'ES256',
    'ES384',
    'ES512',
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
    'Ed25519',
  ];
  const keys = new Map<string, ClientKey>();
  let host: ReturnType<typeof makeHost>;
  let key: ClientKey;
  let other: ClientKey;

  beforeAll(async () => {
    for (const alg of algorithms) keys.set(alg, await clientKey(alg));
    key = keys.get('ES256')!;
    other = await clientKey();
    const machine = { grantTypes: ['client_credentials'], scope: 'jobs:run' };
    const signer = (clientId: string, jwks: object[], more: Partial<ClientOptions> = {}): ClientOptions => ({
      clientId,
      jwks: { keys: jwks },
      ...machine,
      ...more,
    });
    const { kid: _, ...withoutKid } = other.publicJwk;
    host = makeHost(variant, {
      clients: [
        ...Object.values(CLIENTS),
        signer(
          'signer',
          [...keys.values()].map(({ publicJwk }) => publicJwk),
        ),
        signer('single', [withoutKid]),
        signer('strict', [key.publicJwk, keys.get('PS256')!.publicJwk], {
          tokenEndpointAuthSigningAlg: 'PS256',
        }),
        signer('signing-api', [key.publicJwk], { introspectionAudiences: [ORDERS] }),
        {
          clientId: 'hmac',
          clientSecret: JWT_SECRET,
          tokenEndpointAuthMethod: 'client_secret_jwt',
          ...machine,
        },
      ],
    });
  });
  beforeEach(() => {
    host.events.length = 0;
  });

  const of = (clientId: string): { clientId: string; issuer: string; now: number } => ({
    clientId,
    issuer: host.issuer,
    now: host.now,
  });
  const send = (clientAssertion: string, more: Form = {}, path = '/token'): request.Test =>
    request(host.app)
      .post(`${host.base}${path}`)
      .type('form')
      .send({
        grant_type: 'client_credentials',
        client_assertion: clientAssertion,
        client_assertion_type: ASSERTION_TYPE,
        ...more,
      });
  const reasonOf = (): unknown =>
    host.events.find(({ name }) => name === 'client_authentication.failed')?.event.reason;

  async function expectRefused(clientAssertion: string, reason: RegExp): Promise<void> {
    const { status, body } = await send(clientAssertion);
    expect([status, body]).toEqual([
      401,
      { error: 'invalid_client', error_description: 'Client authentication failed' },
    ]);
    expect(reasonOf()).toMatch(reason);
  }

  const hmac = (claims: Claims, secret: string | Uint8Array = JWT_SECRET, alg = 'HS256'): Promise<string> => {
    const iat = Math.floor(host.now / 1000);
    const all = {
      iss: 'hmac',
      sub: 'hmac',
      aud: host.issuer,
      iat,
      exp: iat + 60,
      jti: randomUUID(),
      ...claims,
    };
    const bytes = typeof secret === 'string' ? new TextEncoder().encode(secret) : secret;
    return new jose.SignJWT(all).setProtectedHeader({ alg }).sign(bytes);
  };

  it.each(algorithms)('%s authenticates', async (alg) => {
    const response = await send(await assertion(keys.get(alg)!, of('signer')));
    expect([response.status, response.body.scope]).toEqual([200, 'jobs:run']);
  });

  it('EdDSA, by its older name too', async () => {
    const ed = keys.get('Ed25519')!;
    const response = await send(await assertion({ ...ed, alg: 'EdDSA' }, of('signer')));
    expect(response.status).toBe(200);
  });

  it('client_secret_jwt authenticates, for the client that is registered for it', async () => {
    expect((await send(await hmac({}))).status).toBe(200);
    expect((await send(await hmac({}, JWT_SECRET, 'HS512'))).status).toBe(200);
    await expectRefused(await hmac({}, 'another secret of thirty-two bytes...'), /wrong signature/);
  });

  it('the secret of a stored client is sealed, and opened again', async () => {
    expect(() => host.oauth.sealClientSecret('x'.repeat(31))).toThrow(RangeError);
    const sealed = host.oauth.sealClientSecret(JWT_SECRET);
    expect(sealed).not.toContain(JWT_SECRET);
    await host.adapter.saveClient!({
      clientId: 'stored-hmac',
      tokenEndpointAuthMethod: 'client_secret_jwt',
      clientSecretSealed: sealed,
      grantTypes: ['client_credentials'],
      scope: 'jobs:run',
    });
    const ids = { iss: 'stored-hmac', sub: 'stored-hmac' };
    expect((await send(await hmac(ids))).status).toBe(200);
    expect((await send(await hmac(ids, 'x'.repeat(40)))).status).toBe(401);
  });

  it('a host may accept its issuer only: another server could pass on what it got for itself', async () => {
    const own = makeHost(variant, {
      clients: [{ clientId: 'signer', jwks: { keys: [key.publicJwk] }, grantTypes: ['client_credentials'] }],
      clientAssertionAudience: 'issuer',
    });
    for (const [aud, status] of [
      [`${own.issuer}/token`, 401],
      [`${own.issuer}/par`, 401],
      [own.issuer, 200],
    ] as const) {
      const signed = await assertion(key, { clientId: 'signer', issuer: own.issuer, now: own.now }, { aud });
      const { status: actual } = await request(own.app).post(`${own.base}/token`).type('form').send({
        grant_type: 'client_credentials',
        client_assertion: signed,
        client_assertion_type: ASSERTION_TYPE,
      });
      expect(actual).toBe(status);
    }
  });

  it('the token endpoint’s URL, and the issuer with a slash, are accepted as audience', async () => {
    for (const aud of [`${host.issuer}/token`, `${host.issuer}/`]) {
      expect((await send(await assertion(key, of('signer'), { aud }))).status).toBe(200);
    }
  });

  it('as some libraries send it: a list of one audience, an hour ahead, without an id; but once', async () => {
    const now = Math.floor(host.now / 1000);
    for (const claims of [
      { aud: [host.issuer] },
      { exp: now + 3600 },
      { aud: [`${host.issuer}/token`], exp: now + 3600, jti: undefined },
    ]) {
      const signed = await assertion(key, of('signer'), claims);
      expect((await send(signed)).status).toBe(200);
      expect((await send(signed)).status).toBe(401);
      // As long as it is valid.
      host.pass(3500);
      expect((await send(signed)).status).toBe(401);
      host.pass(-3500);
    }
  });

  it('without an id it is good once, also with the other signature that ECDSA has for it', async () => {
    const signed = await assertion(key, of('signer'), { jti: undefined });
    const [header, payload, signature] = signed.split('.');
    const bytes = Buffer.from(signature!, 'base64url');
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
    const other32 = Buffer.concat([
      bytes.subarray(0, 32),
      Buffer.from(s.toString(16).padStart(64, '0'), 'hex'),
    ]);
    const twin = [header, payload, other32.toString('base64url')].join('.');
    expect((await send(twin)).status).toBe(200);
    expect((await send(signed)).status).toBe(401);
    expect((await send(twin)).status).toBe(401);
  });

  it('without kid where one key fits, and for a key that has none', async () => {
    const { status } = await send(await assertion({ ...other, kid: undefined as never }, of('single')));
    expect(status).toBe(200);
    expect((await send(await assertion(other, of('single')))).status).toBe(200);
  });

  it.each([
    ['another audience', { aud: 'https://other.example' }, /another audience/],
    ['a list of audiences', { aud: ['x'] }, /another audience/],
    [
      'a list with another server in it',
      (): Claims => ({ aud: [host.issuer, 'https://other.example'] }),
      /another audience/,
    ],
    ['no audience', { aud: undefined }, /another audience/],
    ['another issuer', { iss: 'web' }, /iss or sub/],
    ['no issuer', { iss: undefined }, /iss or sub/],
    ['no subject', { sub: undefined }, /iss or sub|unknown client/],
    ['no expiry', { exp: undefined }, /expired/],
    ['an expiry that is text', { exp: '9999999999' }, /expired/],
    ['an empty id', { jti: '' }, /jti/],
    ['an over-long id', { jti: 'x'.repeat(257) }, /jti/],
  ])('refuses %s', async (_name, claims, reason) => {
    const more = typeof claims === 'function' ? claims() : claims;
    await expectRefused(await assertion(key, of('signer'), more), reason);
  });

  it('is good for an hour at most, and ten seconds of skew', async () => {
    const now = Math.floor(host.now / 1000);
    const status = async (claims: Claims): Promise<number> =>
      (await send(await assertion(key, of('signer'), claims))).status;
    expect(await status({ exp: now - 9 })).toBe(200);
    expect(await status({ exp: now - 11 })).toBe(401);
    expect(await status({ exp: now + 3609 })).toBe(200);
    expect(await status({ exp: now + 3612 })).toBe(401);
    expect(await status({ nbf: now + 8, iat: now + 8 })).toBe(200);
    expect(await status({ nbf: now + 61 })).toBe(401);
    expect(await status({ iat: now + 61 })).toBe(401);
  });

  it('is used once, at whichever endpoint, for as long as it lives', async () => {
    const once = await assertion(key, of('signer'), { exp: Math.floor(host.now / 1000) + 300 });
    expect((await send(once)).status).toBe(200);
    await expectRefused(once, /used before/);
    host.pass(305);
    host.events.length = 0;
    await expectRefused(once, /used before/);
    const revoking = await assertion(key, of('signer'));
    expect((await send(revoking, { token: 'x' }, '/revoke')).status).toBe(200);
    expect((await send(revoking)).status).toBe(401);
    // The same jti of another client is another assertion.
    const jti = randomUUID();
    expect((await send(await assertion(key, of('signer'), { jti }))).status).toBe(200);
    expect((await send(await assertion(other, of('single'), { jti }))).status).toBe(200);
  });

  it('twenty at once are one', async () => {
    const once = await assertion(key, of('signer'));
    const statuses = await Promise.all(Array.from({ length: 20 }, async () => (await send(once)).status));
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
  });

  it('algorithm confusion: none, HMAC with the public key, another key’s algorithm', async () => {
    const good = await assertion(key, of('signer'));
    const [, payload] = good.split('.');
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    await expectRefused(`${none}.${payload!}.`, /unknown algorithm/);
    host.events.length = 0;
    const ids = { iss: 'signer', sub: 'signer' };
    const pem = await jose.exportSPKI(key.publicKey);
    await expectRefused(await hmac(ids, pem), /registered for private_key_jwt/);
    host.events.length = 0;
    await expectRefused(await assertion(key, of('strict')), /an algorithm other than PS256/);
    expect((await send(await assertion(keys.get('PS256')!, of('strict')))).status).toBe(200);
    host.events.length = 0;
    // A key that is registered as ES256 does not sign RS256.
    await expectRefused(
      await assertion({ ...keys.get('RS256')!, kid: key.kid }, of('signer')),
      /no such key/,
    );
  });

  it('a key from the token’s own header is nobody’s key', async () => {
    const embedded = await assertion(other, of('signer'), {}, { jwk: other.publicJwk, kid: key.kid });
    await expectRefused(embedded, /wrong signature/);
    host.events.length = 0;
    await expectRefused(
      await assertion(other, of('signer'), {}, { jku: 'http://127.0.0.1:1/jwks' }),
      /no such key/,
    );
  });

  it('another client’s key is not this one’s', async () => {
    await expectRefused(await assertion(other, of('signer')), /no such key/);
  });

  it('the type must be said, and nothing else may be sent along', async () => {
    const wrongType = await send(await assertion(key, of('signer')), { client_assertion_type: 'urn:x' });
    expect([wrongType.status, wrongType.body.error]).toEqual([400, 'invalid_request']);
    const withSecret = await send(await assertion(key, of('signer')), { client_secret: 'x' });
    expect(withSecret.body.error).toBe('invalid_request');
    const basic = await send(await assertion(key, of('signer'))).auth('web', 'web-secret');
    expect(basic.body.error).toBe('invalid_request');
    const differs = await send(await assertion(key, of('signer')), { client_id: 'web' });
    expect(differs.body.error).toBe('invalid_request');
    const { body } = await send(await assertion(key, of('web')));
    expect(body.error).toBe('invalid_client');
  });

  it('a client that signs does not get through without', async () => {
    const { status, body } = await request(host.app)
      .post(`${host.base}/token`)
      .type('form')
      .send({ grant_type: 'client_credentials', client_id: 'signer' });
    expect([status, body.error]).toEqual([401, 'invalid_client']);
  });

  it('an assertion in a query is refused', async () => {
    const response = await request(host.app)
      .post(`${host.base}/token?client_assertion=x`)
      .type('form')
      .send({ grant_type: 'client_credentials' });
    expect(response.body.error).toBe('invalid_request');
  });

  it('an over-long one is refused, unless the host says otherwise', async () => {
    const long = await assertion(key, of('signer'), {}, { x5c: ['x'.repeat(4000)] });
    await expectRefused(long, /over-long|unknown client/);
    const own = makeHost(variant, {
      clientAssertionMaximumLength: 8000,
      clients: [{ clientId: 'signer', jwks: { keys: [key.publicJwk] }, grantTypes: ['client_credentials'] }],
    });
    own.now = host.now;
    const response = await request(own.app).post(`${own.base}/token`).type('form').send({
      grant_type: 'client_credentials',
      client_assertion: long,
      client_assertion_type: ASSERTION_TYPE,
    });
    expect(response.status).toBe(200);
  });

  it('an alg that is an object is refused, and harms nothing', async () => {
    const [, payload] = (await assertion(key, of('signer'))).split('.');
    const header = Buffer.from('{"alg":{"toString":1}}').toString('base64url');
    const { status, body } = await send(`${header}.${payload!}.AAAA`, { client_id: 'signer' });
    expect([status, body.error]).toEqual([401, 'invalid_client']);
  });

  it('a JWT for another purpose is no assertion', async () => {
    for (const typ of ['dpop+jwt', 'at+jwt', 'oauth-authz-req+jwt']) {
      expect((await send(await assertion(key, of('signer'), {}, { typ }))).status).toBe(401);
    }
    expect(
      (await send(await assertion(key, of('signer'), {}, { typ: 'client-authentication+jwt' }))).status,
    ).toBe(200);
  });

  it.each(['a.b', 'a.b.c', '..', '{}', 'e30.e30.', 'e30.W10.AA', 'é.é.é'])(
    'nonsense (%s) is refused',
    async (text) => {
      const { status, body } = await send(text, { client_id: 'signer' });
      expect([status, body.error]).toEqual([401, 'invalid_client']);
    },
  );

  it('works at introspection and at revocation alike', async () => {
    const { body } = await send(await assertion(key, of('signing-api')));
    const token = body.access_token as string;
    const introspected = await send(await assertion(key, of('signing-api')), { token }, '/introspect');
    expect(introspected.body).toMatchObject({ active: true, client_id: 'signing-api' });
    expect((await send(await assertion(key, of('signing-api')), { token }, '/revoke')).status).toBe(200);
    const after = await send(await assertion(key, of('signing-api')), { token }, '/introspect');
    expect(after.body).toEqual({ active: false });
  });

  it('rotating its keys: the adapter’s word counts at the next request', async () => {
    const client = { clientId: 'rotating', grantTypes: ['client_credentials'], redirectUris: [CALLBACK] };
    await host.adapter.saveClient!({ ...client, jwks: { keys: [key.publicJwk] } });
    expect((await send(await assertion(key, of('rotating')))).status).toBe(200);
    await host.adapter.saveClient!({ ...client, jwks: { keys: [other.publicJwk] } });
    expect((await send(await assertion(key, of('rotating')))).status).toBe(401);
    expect((await send(await assertion(other, of('rotating')))).status).toBe(200);
  });
});
