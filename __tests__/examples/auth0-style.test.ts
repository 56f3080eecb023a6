import express from 'express';
import * as jose from 'jose';

import { BILLING, createApp, ORDERS } from '../../examples/auth0-style';
import { claimsOf, listen, pkce } from '../support/host';
import { assertion, ASSERTION_TYPE, clientKey, dpopProof, type ClientKey } from '../support/jose';
import { browser } from '../support/browser';

const SECRET = 'a secret of the web app that is long';

type Body = Record<string, unknown>;

/** The requests of Auth0's token endpoint page, with real values. */
describe('examples/auth0-style.ts', () => {
  let origin: string;
  let issuer: string;
  let close: () => Promise<void>;
  let machine: ClientKey;

  beforeAll(async () => {
    const shell = express();
    ({ origin, close } = await listen(shell));
    issuer = `${origin}/oauth`;
    machine = await clientKey();
    shell.use(createApp(origin, { keys: [machine.publicJwk] }));
  });
  afterAll(() => close());

  async function signIn(
    client: string,
    callback: string,
    more: Record<string, string> = {},
  ): Promise<{
    code: string;
    verifier: string;
  }> {
    const { verifier, challenge } = pkce();
    const parameters = new URLSearchParams({
      client_id: client,
      response_type: 'code',
      redirect_uri: `${origin}${callback}`,
      code_challenge: challenge,
      code_challenge_method: 'S256',
      ...more,
    });
    const { visit } = browser(origin, [`${origin}${callback}`]);
    const login = await visit(`/oauth/authorize?${parameters.toString()}`);
    const page = await visit(login.url, { name: 'alice', password: 'wonderland' });
    // A public client on loopback is asked about every time (RFC 8252 §8.6).
    const sealed = /name="request" value="([^"]+)"/.exec(page.text)?.[1];
    const { url } = sealed ? await visit('/oauth/consent', { request: sealed, decision: 'allow' }) : page;
    return { code: new URL(url).searchParams.get('code')!, verifier };
  }

  async function token(
    body: Record<string, string>,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: Body; headers: Headers }> {
    const response = await fetch(`${issuer}/token`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams(body),
    });
    return { status: response.status, body: (await response.json()) as Body, headers: response.headers };
  }

  it.each([{ name: 'mallory' }, {}, { name: 'alice' }, { name: 'alice', password: 'x' }])(
    'the login refuses %p',
    async (form) => {
      const { visit } = browser(origin);
      expect((await visit('/login', form as Record<string, string>)).status).toBe(401);
    },
  );

  it('the code exchange of the page, with its Authorization header, gives its response', async () => {
    const scope = 'openid profile email offline_access';
    const { code, verifier } = await signIn('web', '/callback', { scope, audience: ORDERS });
    const { status, body } = await token(
      {
        grant_type: 'authorization_code',
        code,
        client_id: 'web',
        redirect_uri: `${origin}/callback`,
        client_secret: SECRET,
        audience: ORDERS,
        code_verifier: verifier,
        client_assertion_type: ASSERTION_TYPE,
      },
      // What the page's own request carries; the token endpoint has no use for it.
      { Authorization: 'Bearer something' },
    );
    expect(status).toBe(200);
    expect(body).toEqual({
      access_token: expect.stringMatching(/^eyJ/) as string,
      refresh_token: expect.any(String) as string,
      id_token: expect.stringMatching(/^eyJ/) as string,
      token_type: 'Bearer',
      expires_in: 86_400,
      scope,
    });
    const keys = jose.createRemoteJWKSet(new URL(`${issuer}/jwks`));
    const { payload } = await jose.jwtVerify(body.id_token as string, keys, {
      issuer,
      audience: 'web',
      algorithms: ['RS256'],
    });
    expect(payload.sub).toBe('alice');

    const userinfo = await fetch(`${issuer}/userinfo`, {
      headers: { Authorization: `Bearer ${body.access_token as string}` },
    });
    expect(await userinfo.json()).toEqual({
      sub: 'alice',
      name: 'Alice Adams',
      email: 'alice@example.com',
      email_verified: true,
    });
    const renewed = await token({
      grant_type: 'refresh_token',
      client_id: 'web',
      client_secret: SECRET,
      refresh_token: body.refresh_token as string,
    });
    expect(renewed.body).toMatchObject({ id_token: expect.any(String) as string, scope });
  });

  it('the same in JSON; without offline_access there is no refresh token', async () => {
    const { code, verifier } = await signIn('web', '/callback', { scope: 'orders:read' });
    const response = await fetch(`${issuer}/token`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        grant_type: 'authorization_code',
        code,
        client_id: 'web',
        redirect_uri: `${origin}/callback`,
        client_secret: SECRET,
        code_verifier: verifier,
      }),
    });
    expect(await response.json()).toEqual({
      access_token: expect.any(String) as string,
      token_type: 'Bearer',
      expires_in: 86_400,
      scope: 'orders:read',
    });
  });

  it('client credentials with a client assertion, for each audience', async () => {
    const request = async (audience: string): Promise<Record<string, string>> => ({
      grant_type: 'client_credentials',
      client_id: 'machine',
      client_assertion: await assertion(machine, { clientId: 'machine', issuer, now: Date.now() }),
      client_assertion_type: ASSERTION_TYPE,
      audience,
    });
    const billing = await token(await request(BILLING));
    expect(billing.body).toMatchObject({ token_type: 'Bearer', expires_in: 300, scope: 'invoices:write' });
    expect(claimsOf(billing.body.access_token as string).aud).toBe(BILLING);
    const orders = await token(await request(ORDERS));
    expect(orders.body).toMatchObject({ expires_in: 86_400, scope: 'orders:read' });
    const call = (accessToken: unknown): Promise<Response> =>
      fetch(`${origin}/invoices`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${String(accessToken)}` },
      });
    expect(await (await call(billing.body.access_token)).json()).toEqual({ by: 'machine' });
    expect((await call(orders.body.access_token)).status).toBe(401);
    expect((await token(await request('https://nowhere.example'))).body.error).toBe('invalid_target');
  });

  it('a single-page app with the DPoP header: a nonce first, then a bound token', async () => {
    const key = await clientKey();
    const { code, verifier } = await signIn('spa', '/spa', { scope: 'openid offline_access orders:read' });
    const form = {
      grant_type: 'authorization_code',
      code,
      client_id: 'spa',
      redirect_uri: `${origin}/spa`,
      code_verifier: verifier,
    };
    const url = `${issuer}/token`;
    const first = await token(form, { DPoP: await dpopProof(key, { url, now: Date.now() }) });
    expect([first.status, first.body.error]).toEqual([400, 'use_dpop_nonce']);
    const nonce = first.headers.get('DPoP-Nonce') ?? '';
    expect(first.headers.get('Access-Control-Expose-Headers')).toContain('DPoP-Nonce');
    const { body } = await token(form, { DPoP: await dpopProof(key, { url, now: Date.now(), nonce }) });
    expect(body).toMatchObject({ token_type: 'DPoP', scope: 'openid offline_access orders:read' });
    const accessToken = body.access_token as string;
    expect(claimsOf(accessToken).cnf).toEqual({ jkt: key.thumbprint });

    const orders = `${origin}/orders`;
    const proof = await dpopProof(key, { method: 'GET', url: orders, now: Date.now(), accessToken });
    const called = await fetch(orders, { headers: { Authorization: `DPoP ${accessToken}`, DPoP: proof } });
    expect(await called.json()).toEqual({ orders: [], of: 'alice' });
    expect((await fetch(orders, { headers: { Authorization: `Bearer ${accessToken}` } })).status).toBe(401);
  });

  it('may not ask for an audience that is another client’s', async () => {
    const { visit } = browser(origin, [`${origin}/callback`]);
    const parameters = new URLSearchParams({
      client_id: 'web',
      response_type: 'code',
      redirect_uri: `${origin}/callback`,
      code_challenge: pkce().challenge,
      code_challenge_method: 'S256',
      audience: BILLING,
    });
    const { url } = await visit(`/oauth/authorize?${parameters.toString()}`);
    expect(new URL(url).searchParams.get('error')).toBe('invalid_target');
  });
});
