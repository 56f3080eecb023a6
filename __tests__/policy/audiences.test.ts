import * as jose from 'jose';
import request from 'supertest';

import {
  answerOf,
  authorizationForm,
  authorize,
  claimsOf,
  CLIENTS,
  getCode,
  getTokens,
  makeHost,
  pkce,
  post,
  redeem,
  refresh,
  VARIANTS,
  type Form,
  type Host,
  type HostOptions,
} from '../support/host';
import { clientKey, dpopProof } from '../support/jose';
import { SIGNING_KEYS } from '../support/openid';

const ORDERS = 'https://orders.example.com';
const BILLING = 'https://billing.example.com';
const PAYMENTS = 'https://payments.example.com';

const OPTIONS: HostOptions = {
  clients: [
    { ...CLIENTS.web, scope: 'openid profile orders:read invoices:read' },
    { ...CLIENTS.spa, scope: 'profile orders:read invoices:read' },
    { ...CLIENTS.machine, scope: 'orders:read invoices:read' },
  ],
  signingKeys: SIGNING_KEYS,
  resources: [
    { identifier: ORDERS, scopes: ['orders:read'] },
    {
      identifier: BILLING,
      scopes: ['invoices:read'],
      clients: ['web', 'machine'],
      accessTokenLifetime: 60,
      signingAlgorithm: 'RS256',
    },
    { identifier: PAYMENTS, accessTokenFormat: 'opaque', dpop: 'required' },
  ],
};

describe.each(VARIANTS)('audiences (RFC 8707) on $store at the $mount', (variant) => {
  const host = makeHost(variant, OPTIONS);

  const errorOf = async (
    more: Form,
    client: keyof typeof CLIENTS = 'web',
    on: Host = host,
  ): Promise<unknown> => answerOf(await authorize(on, authorizationForm(client, pkce(), more))).error;
  const machine = (more: Form): request.Test =>
    post(host, '/token', 'machine', { grant_type: 'client_credentials', ...more });
  const repeated = (names: readonly string[], more = ''): request.Test =>
    request(host.app)
      .post(`${host.base}/token`)
      .type('form')
      .auth('machine', 'machine-secret')
      .send(`grant_type=client_credentials&${names.map((name) => `resource=${name}`).join('&')}${more}`);

  it.each(['audience', 'resource'])('%s chooses the audience', async (name) => {
    const { access_token: token } = await getTokens(host, 'web', { [name]: ORDERS });
    expect(claimsOf(token).aud).toBe(ORDERS);
    expect(claimsOf((await machine({ [name]: BILLING })).body.access_token as string).aud).toBe(BILLING);
  });

  it('both may be sent if they are equal', async () => {
    expect((await machine({ audience: ORDERS, resource: ORDERS })).status).toBe(200);
    expect((await machine({ audience: ORDERS, resource: BILLING })).body.error).toBe('invalid_target');
    expect(await errorOf({ audience: ORDERS, resource: BILLING })).toBe('invalid_target');
  });

  it('an unknown one is invalid_target', async () => {
    expect(await errorOf({ audience: 'https://nowhere.example' })).toBe('invalid_target');
    const { status, body } = await machine({ audience: 'nonsense' });
    expect([status, body.error]).toEqual([400, 'invalid_target']);
  });

  it('none is the default audience, else the issuer', async () => {
    expect(claimsOf((await machine({})).body.access_token as string).aud).toBe(host.issuer);
    const own = makeHost(variant, { ...OPTIONS, defaultAudience: ORDERS });
    expect(claimsOf((await getTokens(own)).access_token).aud).toBe(ORDERS);
  });

  it('the code exchange and the refresh may only narrow', async () => {
    const { verifier, challenge } = pkce();
    const query = new URLSearchParams(authorizationForm('web', { verifier, challenge })).toString();
    const answer = await authorize(host, `${query}&resource=${ORDERS}&resource=${BILLING}`);
    const issued = { code: answerOf(answer).code!, verifier };
    // A token is for one: which, has to be said.
    expect((await redeem(host, 'web', issued)).body.error).toBe('invalid_target');
    expect((await redeem(host, 'web', issued, { audience: PAYMENTS })).body.error).toBe('invalid_target');
    const { body } = await redeem(host, 'web', issued, { audience: BILLING });
    expect(body).toMatchObject({ expires_in: 60, scope: 'openid profile invoices:read' });
    const refreshToken = body.refresh_token as string;
    expect((await refresh(host, 'web', refreshToken, { resource: host.issuer })).body.error).toBe(
      'invalid_target',
    );
    const other = await refresh(host, 'web', refreshToken, { resource: ORDERS });
    expect(other.body).toMatchObject({ expires_in: 3600, scope: 'openid profile orders:read' });
    expect(claimsOf(other.body.access_token as string).aud).toBe(ORDERS);
  });

  it('a token has only the scope that means something at its audience', async () => {
    const { scope } = (await redeem(host, 'web', await getCode(host, 'web', { audience: ORDERS }))).body as {
      scope: string;
    };
    expect(scope).toBe('openid profile orders:read');
    expect((await machine({ audience: ORDERS })).body.scope).toBe('orders:read');
    expect((await machine({ audience: ORDERS, scope: 'invoices:read' })).body.error).toBe('invalid_scope');
    expect(await errorOf({ audience: ORDERS, scope: 'invoices:read' })).toBe('invalid_scope');
  });

  it('a resource may be for listed clients only', async () => {
    expect(await errorOf({ audience: BILLING }, 'spa')).toBe('invalid_target');
    expect(await errorOf({ audience: BILLING }, 'web')).toBeUndefined();
  });

  it('a client that is taken off the list loses it at the next refresh, and nothing else', async () => {
    const tokens = await getTokens(host, 'web', { audience: BILLING });
    const resources = [{ identifier: BILLING, clients: ['machine'] }];
    const changed = makeHost(variant, { ...OPTIONS, adapter: host.adapter, resources });
    expect((await refresh(changed, 'web', tokens.refresh_token)).body.error).toBe('invalid_target');
    expect((await refresh(host, 'web', tokens.refresh_token)).status).toBe(200);
  });

  it('a resource has its own lifetime, algorithm and format', async () => {
    const orders = (await machine({ audience: ORDERS })).body;
    const billing = (await machine({ audience: BILLING })).body;
    expect([orders.expires_in, billing.expires_in]).toEqual([3600, 60]);
    const alg = (token: unknown): unknown => jose.decodeProtectedHeader(String(token)).alg;
    expect([alg(orders.access_token), alg(billing.access_token)]).toEqual(['ES256', 'RS256']);
  });

  it('a resource may want tokens that are bound by DPoP', async () => {
    const refused = await machine({ audience: PAYMENTS });
    expect([refused.status, refused.body.error]).toEqual([400, 'invalid_dpop_proof']);
    const proof = await dpopProof(await clientKey(), { url: `${host.issuer}/token`, now: host.now });
    const { body } = await machine({ audience: PAYMENTS }).set('DPoP', proof);
    expect(body.token_type).toBe('DPoP');
    expect(body.access_token).not.toContain('.');
  });

  it('one token for several is for those who switch it on', async () => {
    const refused = await repeated([ORDERS, BILLING]);
    expect([refused.status, refused.body.error]).toEqual([400, 'invalid_target']);
    const own = makeHost(variant, { ...OPTIONS, multipleAudiences: true });
    const { body } = await request(own.app)
      .post(`${own.base}/token`)
      .type('form')
      .auth('machine', 'machine-secret')
      .send(`grant_type=client_credentials&resource=${ORDERS}&resource=${BILLING}`);
    expect(claimsOf(body.access_token as string).aud).toEqual([ORDERS, BILLING]);
    // The shortest of their lifetimes.
    expect(body).toMatchObject({ expires_in: 60, scope: 'orders:read invoices:read' });
  });
});

describe.each(VARIANTS)('refresh tokens and offline_access on $store at the $mount', (variant) => {
  const clients = [
    { ...CLIENTS.web, scope: 'profile offline_access' },
    { ...CLIENTS.spa, scope: 'profile offline_access', refreshTokens: 'always' as const },
    { ...CLIENTS.brief, scope: 'profile offline_access' },
  ];
  const host = makeHost(variant, { clients, refreshTokens: { issue: 'offline_access' } });

  it.each([
    ['web', 'profile', false],
    ['web', 'profile offline_access', true],
    ['spa', 'profile', true],
    ['brief', 'profile offline_access', false],
  ] as const)('%s with %s: %s', async (client, scope, given) => {
    const tokens = await getTokens(host, client, { scope });
    expect('refresh_token' in tokens).toBe(given);
  });
});
