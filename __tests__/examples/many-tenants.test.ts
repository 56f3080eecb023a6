import { randomBytes } from 'node:crypto';
import express from 'express';

import { redisAdapter } from 'express-oauth-router';

import { createApp, newTenant } from '../../examples/many-tenants';
import { browser, type Browser } from '../support/browser';
import { claimsOf, listen, pkce, sharedRedis } from '../support/host';

const CALLBACK = 'https://app.example.com/callback';
type Body = Record<string, string>;

describe('examples/many-tenants.ts', () => {
  let origin: string;
  let close: () => Promise<void>;
  let made: string[];

  beforeAll(async () => {
    const shell = express();
    ({ origin, close } = await listen(shell));
    const app = (clientId: string): { clientId: string; redirectUris: string[]; firstParty: boolean } => ({
      clientId,
      redirectUris: [CALLBACK],
      firstParty: true,
    });
    const tenants = new Map([
      ['acme', newTenant([app('app'), app('only-acme')])],
      ['globex', newTenant([app('app')])],
      ['initech', newTenant([app('app')])],
    ]);
    const prefix = `test:${randomBytes(6).toString('hex')}:`;
    made = [];
    shell.use(
      createApp(origin, {
        tenantOf: (id) => tenants.get(id),
        adapterOf: (id) => {
          made.push(id);
          return redisAdapter(sharedRedis(), { prefix: `${prefix}${id}:` });
        },
        maximum: 2,
      }),
    );
  });
  afterAll(() => close());

  const base = (tenant: string): string => `${origin}/t/${tenant}/oauth`;

  async function code(
    at: Browser,
    tenant: string,
  ): Promise<{ code: string; verifier: string; login: string }> {
    const { challenge, verifier } = pkce();
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: 'app',
      redirect_uri: CALLBACK,
      code_challenge: challenge,
      code_challenge_method: 'S256',
    });
    const login = await at.visit(`/t/${tenant}/oauth/authorize?${query.toString()}`);
    const { url } = login.url.startsWith(CALLBACK) ? login : await at.visit(login.url, {});
    return { code: new URL(url).searchParams.get('code')!, verifier, login: login.url };
  }

  async function post(tenant: string, path: string, form: Body): Promise<{ status: number; body: Body }> {
    const body = new URLSearchParams({ client_id: 'app', ...form });
    const response = await fetch(base(tenant) + path, { method: 'POST', body });
    return { status: response.status, body: (await response.json().catch(() => ({}))) as Body };
  }

  const redeem = (
    tenant: string,
    { code: value, verifier }: { code: string; verifier: string },
  ): ReturnType<typeof post> =>
    post(tenant, '/token', {
      grant_type: 'authorization_code',
      code: value,
      code_verifier: verifier,
      redirect_uri: CALLBACK,
    });

  it('a code, a refresh token, an access token, a session and a client of one are nothing in another', async () => {
    const at = browser(origin, [CALLBACK]);
    const first = await code(at, 'acme');
    expect(await redeem('globex', first)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    const { status, body } = await redeem('acme', first);
    expect(status).toBe(200);
    expect(claimsOf(body.access_token!)).toMatchObject({ iss: base('acme'), sub: 'alice' });

    const refreshing = { grant_type: 'refresh_token', refresh_token: body.refresh_token! };
    expect(await post('globex', '/token', refreshing)).toMatchObject({
      status: 400,
      body: { error: 'invalid_grant' },
    });
    expect((await post('globex', '/revoke', { token: body.refresh_token! })).status).toBe(200);
    expect((await post('acme', '/token', refreshing)).status).toBe(200);

    const bearer = { headers: { Authorization: `Bearer ${body.access_token!}` } };
    expect((await fetch(`${origin}/t/globex/api`, bearer)).status).toBe(401);
    expect(await (await fetch(`${origin}/t/acme/api`, bearer)).json()).toEqual({
      tenant: 'acme',
      user: 'alice',
    });

    // Signed in at one, nobody at the other.
    expect((await code(at, 'acme')).login).toMatch(CALLBACK);
    expect((await code(at, 'globex')).login).toContain('/t/globex/login');

    const unknown = new URLSearchParams({ client_id: 'only-acme', response_type: 'code' });
    expect((await fetch(`${base('globex')}/authorize?${unknown.toString()}`)).status).toBe(400);
    expect((await fetch(`${base('nobody')}/jwks`)).status).toBe(404);
  });

  it('nobody signs in at a tenant that is not there', async () => {
    for (const method of ['GET', 'POST']) {
      const response = await fetch(`${origin}/t/nobody/login`, { method, redirect: 'manual' });
      expect(response.status).toBe(404);
    }
  });

  it('a resume URL of one is none of another', async () => {
    const at = browser(origin, [CALLBACK]);
    const { login } = await code(at, 'acme');
    const resume = new URL(login, origin).searchParams.get('return_to')!;
    expect(resume).toContain('/t/acme/oauth/authorize');
    const moved = await fetch(origin + resume.replace('acme', 'globex'), { redirect: 'manual' });
    expect(moved.status).toBe(400);
  });

  it('each has its documents and its keys', async () => {
    const keys = await Promise.all(
      ['acme', 'globex'].map(async (tenant) => {
        const url = `${origin}/.well-known/oauth-authorization-server/t/${tenant}/oauth`;
        const metadata = (await (await fetch(url)).json()) as { issuer: string; jwks_uri: string };
        expect(metadata.issuer).toBe(base(tenant));
        return (await fetch(metadata.jwks_uri)).text();
      }),
    );
    expect(keys[0]).not.toBe(keys[1]);
  });

  it('routers are made when they are asked for, kept, and made again after others have pushed them out', async () => {
    const at = browser(origin, [CALLBACK]);
    const { body } = await redeem('acme', await code(at, 'acme'));
    made.length = 0;
    for (const tenant of ['acme', 'globex', 'acme', 'globex', 'initech', 'acme']) {
      expect((await fetch(`${base(tenant)}/jwks`)).status).toBe(200);
    }
    expect(made.filter((tenant) => tenant === 'initech')).toHaveLength(1);
    expect(made.filter((tenant) => tenant === 'acme')).toHaveLength(1);
    // What it has given out is still good.
    const refreshing = { grant_type: 'refresh_token', refresh_token: body.refresh_token! };
    expect((await post('acme', '/token', refreshing)).status).toBe(200);
  });
});
