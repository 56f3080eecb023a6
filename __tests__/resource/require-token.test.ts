import { createHmac, sign as signBytes, type KeyObject } from 'node:crypto';

import request from 'supertest';

import { OAuthConfigurationError } from 'express-oauth-router';

import {
  claimsOf,
  getTokens,
  makeHost,
  ORDERS,
  post,
  VARIANTS,
  type Host,
  type HostOptions,
} from '../support/host';
import { keyPair } from '../support/keys';

const { privateKey, publicKey } = keyPair();
const rsa = keyPair('RS256');

const protect: HostOptions['protect'] = (app, oauth) => {
  app.get('/any', oauth.requireToken(), (req, res) => void res.json(req.oauth));
  app.get(
    '/orders',
    oauth.requireToken({ scope: 'orders:read profile' }),
    (req, res) => void res.json(req.oauth.subject),
  );
  app.get('/admin', oauth.requireToken({ scope: ['admin'] }), (req, res) => void res.json(req.oauth.subject));
  app.get(
    '/audience',
    oauth.requireToken({ audience: ORDERS }),
    (req, res) => void res.json(req.oauth.subject),
  );
  app.get(
    '/checked',
    oauth.requireToken({ checkRevocation: true }),
    (req, res) => void res.json(req.oauth.subject),
  );
};

describe.each(VARIANTS)('requireToken (RFC 6750, RFC 9068) on $store at the $mount', (variant) => {
  const METADATA = `http://localhost:3000/.well-known/oauth-protected-resource${variant.mount === 'root' ? '' : '/api/v1/oauth'}`;
  let host: Host;
  beforeEach(() => {
    host = makeHost(variant, {
      protect,
      signingKeys: [
        { key: privateKey, kid: 'ec' },
        { key: rsa.privateKey, alg: 'RS256', kid: 'rsa' },
      ],
    });
  });

  const call = (path: string, authorization?: string): request.Test => {
    const test = request(host.app).get(path);
    return authorization === undefined ? test : test.set('Authorization', authorization);
  };

  it('lets a good token through, and says whose it is', async () => {
    const { access_token: token } = await getTokens(host);
    const { status, body } = await call('/any', `Bearer ${token}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      subject: 'alice',
      userId: 'alice',
      clientId: 'web',
      scope: ['profile', 'orders:read', 'orders:write'],
      audience: [host.issuer],
      claims: claimsOf(token),
    });
    for (const scheme of ['bearer', 'BEARER', 'Bearer '])
      expect((await call('/orders', `${scheme} ${token}`)).status).toBe(200);
  });

  it('knows a client that acts for itself', async () => {
    const { body } = await post(host, '/token', 'machine', { grant_type: 'client_credentials' });
    const info = (await call('/any', `Bearer ${body.access_token as string}`)).body as object;
    expect(info).toMatchObject({ subject: 'machine', clientId: 'machine' });
    expect(info).not.toHaveProperty('userId');
  });

  it.each([undefined, 'Basic d2ViOng=', 'Digest x', 'Bearerx'])(
    'no token (%s): 401 with a challenge without an error',
    async (authorization) => {
      const response = await call('/any', authorization);
      expect([response.status, response.headers['www-authenticate'], response.text]).toEqual([
        401,
        `Bearer resource_metadata="${METADATA}"`,
        '',
      ]);
    },
  );

  it('a token in the query or in the body is not read', async () => {
    const { access_token: token } = await getTokens(host);
    const response = await request(host.app).get(`/any?access_token=${token}`);
    expect([response.status, response.headers['www-authenticate']]).toEqual([
      401,
      `Bearer resource_metadata="${METADATA}"`,
    ]);
  });

  describe('401 invalid_token', () => {
    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = (more: object = {}): Record<string, unknown> => {
      const iat = Math.floor(host.now / 1000);
      return {
        iss: host.issuer,
        sub: 'mallory',
        aud: host.issuer,
        client_id: 'web',
        scope: 'profile',
        jti: 'x',
        iat,
        exp: iat + 60,
        ...more,
      };
    };
    const header = { alg: 'ES256', typ: 'at+jwt', kid: 'ec' };
    const signed = (head: object, body: object, key: KeyObject = privateKey): string => {
      const input = `${encode(head)}.${encode(body)}`;
      return `${input}.${signBytes('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
    };
    const hmac = (head: object, secret: string | Buffer): string => {
      const input = `${encode(head)}.${encode(claims())}`;
      return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
    };

    it('the forger’s tools work: a well-made token with the real key gets through', async () => {
      expect((await call('/any', `Bearer ${signed(header, claims())}`)).status).toBe(200);
      expect(
        (await call('/any', `Bearer ${signed({ ...header, typ: 'application/AT+JWT' }, claims())}`)).status,
      ).toBe(200);
    });

    it.each<[string, () => string]>([
      ['garbage', () => 'x'],
      ['nothing', () => ''],
      ['three parts of nothing', () => '..'],
      ['alg none', () => `${encode({ ...header, alg: 'none' })}.${encode(claims())}.`],
      ['alg none with a signature', () => `${encode({ ...header, alg: 'none' })}.${encode(claims())}.AAAA`],
      [
        'HS256 with the public key in PEM',
        () => hmac({ ...header, alg: 'HS256' }, publicKey.export({ type: 'spki', format: 'pem' })),
      ],
      [
        'HS256 with the RSA key in PEM',
        () =>
          hmac(
            { ...header, alg: 'HS256', kid: 'rsa' },
            rsa.publicKey.export({ type: 'spki', format: 'pem' }),
          ),
      ],
      [
        'HS256 with the public key in DER',
        () => hmac({ ...header, alg: 'HS256' }, publicKey.export({ type: 'spki', format: 'der' })),
      ],
      ['another key under our key id', () => signed(header, claims(), keyPair().privateKey)],
      ['an unknown key id', () => signed({ ...header, kid: 'other' }, claims())],
      ['no key id', () => signed({ alg: 'ES256', typ: 'at+jwt' }, claims())],
      [
        'a key in the header',
        () => {
          const pair = keyPair();
          return signed(
            { ...header, kid: undefined, jwk: pair.publicKey.export({ format: 'jwk' }) },
            claims(),
            pair.privateKey,
          );
        },
      ],
      ['typ JWT, as an ID token has', () => signed({ ...header, typ: 'JWT' }, claims())],
      ['no typ', () => signed({ alg: 'ES256', kid: 'ec' }, claims())],
      ['another issuer', () => signed(header, claims({ iss: 'https://evil.example' }))],
      ['another audience', () => signed(header, claims({ aud: 'https://other.example' }))],
      ['no audience', () => signed(header, claims({ aud: undefined }))],
      ['no exp', () => signed(header, claims({ exp: undefined }))],
      ['an exp that is no number', () => signed(header, claims({ exp: '9999999999' }))],
      ['an exp that has passed', () => signed(header, claims({ exp: Math.floor(host.now / 1000) }))],
      [
        'a changed payload',
        () => {
          const [head, , signature] = signed(header, claims()).split('.');
          return `${head}.${encode(claims({ scope: 'admin' }))}.${signature}`;
        },
      ],
      ['a token that is too long', () => signed(header, claims({ x: 'x'.repeat(8000) }))],
      ['two tokens', () => `${signed(header, claims())} ${signed(header, claims())}`],
    ])('%s', async (_name, token) => {
      const response = await call('/any', `Bearer ${token()}`);
      expect(response.status).toBe(401);
      expect(response.headers['www-authenticate']).toMatch(/^Bearer error="invalid_token"/);
      expect(response.body).toMatchObject({ error: 'invalid_token' });
    });

    it('a token that was verified once expires all the same', async () => {
      const { access_token: token } = await getTokens(host);
      expect((await call('/any', `Bearer ${token}`)).status).toBe(200);
      host.pass(3600);
      expect((await call('/any', `Bearer ${token}`)).status).toBe(401);
    });

    it('codes and refresh tokens are no access tokens', async () => {
      const { refresh_token: token } = await getTokens(host);
      expect((await call('/any', `Bearer ${token}`)).status).toBe(401);
    });
  });

  it('the scope missing: 403 insufficient_scope, with what is needed', async () => {
    const { access_token: token } = await getTokens(host);
    const response = await call('/admin', `Bearer ${token}`);
    expect(response.status).toBe(403);
    expect(response.headers['www-authenticate']).toMatch(
      /^Bearer error="insufficient_scope", .*scope="admin", resource_metadata="/,
    );
    const { access_token: narrow } = await getTokens(host, 'web', { scope: 'orders:read' });
    expect((await call('/orders', `Bearer ${narrow}`)).status).toBe(403);
  });

  it.each([
    { scopes: 'admin' },
    { scope: '' },
    { scope: ['ü'] },
    { scope: 'a  b' },
    { checkRevokation: true },
    { audience: '' },
    'admin',
    ['admin'],
    null,
  ])('wrong options (%j) are an error when the route is made', (options) => {
    expect(() => host.oauth.requireToken(options as never)).toThrow(OAuthConfigurationError);
  });

  it('takes a token for its audience only', async () => {
    const { access_token: other } = await getTokens(host);
    const { access_token: token } = await getTokens(host, 'web', { resource: ORDERS });
    expect((await call('/audience', `Bearer ${other}`)).status).toBe(401);
    expect((await call('/audience', `Bearer ${token}`)).status).toBe(200);
    expect((await call('/any', `Bearer ${token}`)).status).toBe(401);
  });

  it('opaque tokens are read like the others, and are canonical', async () => {
    const own = makeHost(variant, {
      protect,
      accessTokenFormat: ({ client }) => (client.clientId === 'web' ? 'opaque' : 'jwt'),
    });
    const { access_token: token } = await getTokens(own);
    expect(token).toMatch(/^[\w-]+$/);
    const get = (value: string): request.Test =>
      request(own.app).get('/orders').set('Authorization', `Bearer ${value}`);
    expect((await get(token)).body).toBe('alice');
    for (const changed of [
      `${token}A`,
      `${token}=`,
      `A${token}`,
      token.slice(0, -1),
      token.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')),
    ]) {
      expect((await get(changed)).status).toBe(401);
    }
    const { access_token: jwt } = await getTokens(own, 'spa');
    expect(jwt.split('.')).toHaveLength(3);
    const foreign = makeHost(variant, { protect, secrets: ['another secret that is long enough for it'] });
    expect((await request(foreign.app).get('/any').set('Authorization', `Bearer ${token}`)).status).toBe(401);
  });

  describe('with checkRevocation', () => {
    it('refuses what was revoked: the token, the grant, the client', async () => {
      const checked = async (token: string): Promise<number> =>
        (await call('/checked', `Bearer ${token}`)).status;
      const single = await getTokens(host);
      expect(await checked(single.access_token)).toBe(200);
      await post(host, '/revoke', 'web', { token: single.access_token });
      expect(await checked(single.access_token)).toBe(401);

      const whole = await getTokens(host);
      await host.oauth.revokeGrants({ userId: 'alice' });
      expect(await checked(whole.access_token)).toBe(401);
      // Without the check a JWT is good until it expires.
      expect((await call('/any', `Bearer ${whole.access_token}`)).status).toBe(200);

      const plain = host.oauth.issueAccessToken({ subject: 'bob', clientId: 'web' });
      expect(await checked(plain)).toBe(200);
      const orphan = host.oauth.issueAccessToken({ subject: 'bob', clientId: 'gone' });
      expect(await checked(orphan)).toBe(401);
    });

    it('grantsNotBefore ends tokens without a grant too', async () => {
      const token = host.oauth.issueAccessToken({ subject: 'bob', clientId: 'stored' });
      await host.adapter.saveClient!({ clientId: 'stored', redirectUris: ['https://a.example/'] });
      expect((await call('/checked', `Bearer ${token}`)).status).toBe(200);
      await host.adapter.saveClient!({
        clientId: 'stored',
        redirectUris: ['https://a.example/'],
        grantsNotBefore: Math.floor(host.now / 1000) + 1,
      });
      expect((await call('/checked', `Bearer ${token}`)).status).toBe(401);
    });

    it('fails closed when the store does', async () => {
      const { access_token: token } = await getTokens(host);
      const get = (): Promise<never> => Promise.reject(new Error('down'));
      const own = makeHost(variant, {
        protect,
        adapter: { ...host.adapter, get },
        signingKeys: [{ key: privateKey, kid: 'ec' }],
      });
      const response = await request(own.app).get('/checked').set('Authorization', `Bearer ${token}`);
      expect([response.status, response.body.error]).toEqual([503, 'temporarily_unavailable']);
    });
  });

  it('what one request does to the claims does not reach the next', async () => {
    const own = makeHost(variant, {
      claims: () => ({ roles: ['reader'] }),
      protect: (app, oauth) => {
        app.get('/roles', oauth.requireToken(), (req, res) => {
          const roles = req.oauth.claims.roles as string[];
          try {
            roles.push('admin');
          } catch {
            // Frozen.
          }
          res.json(roles);
        });
      },
    });
    const { access_token: token } = await getTokens(own);
    for (const _ of [1, 2]) {
      expect((await request(own.app).get('/roles').set('Authorization', `Bearer ${token}`)).body).toEqual([
        'reader',
      ]);
    }
  });

  it('an error of the host behind it is the host’s', async () => {
    const own = makeHost(variant, {
      protect: (app, oauth) => {
        app.get('/fails', oauth.requireToken(), () => {
          throw Object.assign(new Error('teapot'), { status: 418 });
        });
      },
    });
    const { access_token: token } = await getTokens(own);
    expect((await request(own.app).get('/fails').set('Authorization', `Bearer ${token}`)).status).toBe(418);
  });
});
