import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Express } from 'express';
import express from 'express';
import Redis from 'ioredis';

import { dataFile } from '../../examples/data-file';
import { createApp as existingApp } from '../../examples/existing-app';
import { createApp as quickstart } from '../../examples/quickstart';
import { createRedisApp } from '../../examples/redis';
import { browser } from '../support/browser';
import { listen } from '../support/host';

const field = (html: string, name: string): string =>
  new RegExp(`name="${name}" value="([^"]+)"`).exec(html)?.[1] ?? '';
const action = (html: string): string => /action="([^"]+)"/.exec(html)?.[1] ?? '';

/** An origin must be known before the app is made. */
async function serve(
  create: (origin: string) => Express,
): Promise<{ origin: string; close(): Promise<void> }> {
  const shell = express();
  const { origin, close } = await listen(shell);
  shell.use(create(origin));
  return { origin, close };
}

const redis = (): Redis => new Redis(process.env.REDIS_URL!);

describe.each([
  ['quickstart.ts', (origin: string): Express => quickstart(origin), undefined],
  ['redis.ts', (origin: string, connection?: Redis): Express => createRedisApp(origin, connection!), redis],
] as const)('examples/%s', (_name, create, connect) => {
  it('signs in, shows the tokens, calls the API, refreshes and revokes', async () => {
    const connection = connect?.();
    const { origin, close } = await serve((at) => create(at, connection));
    try {
      const { visit } = browser(origin);
      expect((await visit('/')).text).toContain('Sign in with Acme Orders');
      const login = await visit('/app/start');
      expect(new URL(login.url).pathname).toBe('/login');
      const consent = await visit(login.url, { name: 'carol' });
      expect(consent.text).toContain('See your orders');
      const signedIn = await visit(action(consent.text), {
        request: field(consent.text, 'request'),
        decision: 'allow',
      });
      expect(signedIn.url).toBe(`${origin}/app`);
      expect(signedIn.text).toContain('&#34;sub&#34;: &#34;carol&#34;');
      const act = async (what: string): Promise<string> => (await visit('/app/act', { action: what })).text;
      expect(await act('call')).toContain('GET /orders answered 200');
      // A callback that is loaded again, or forged, redeems nothing: a replay would end the tokens.
      expect((await visit('/app/callback?code=again&state=s')).url).toBe(`${origin}/app`);
      expect(await act('refresh')).toContain('Refreshed');
      expect(await act('call')).toContain('answered 200');
      expect(await act('revoke')).toContain('Revoked');
      expect(await act('call')).toContain('GET /orders answered 401');
      expect(await act('refresh')).toContain('The refresh was refused: invalid_grant');

      // Denied, by a user who is already signed in.
      const again = await visit('/app/start');
      const signedInAgain = again.text.includes('name="decision"')
        ? await visit(action(again.text), { request: field(again.text, 'request'), decision: 'deny' })
        : again;
      expect(signedInAgain.status).toBe(200);

      // Signed out at both the client and the host.
      const out = await visit('/app/sign-out', {});
      expect(out.text).toContain('Sign in with Acme Orders');
      expect(new URL((await visit('/app/start')).url).pathname).toBe('/login');
    } finally {
      await close();
      await connection?.quit();
    }
  });
});

describe('examples/quickstart.ts with --data FILE', () => {
  it('keeps grants and keys over a restart', async () => {
    const directory = mkdtempSync(`${tmpdir()}/oauth-data-`);
    const file = path.join(directory, 'oauth.db');
    const keySets: string[] = [];
    for (const start of [1, 2]) {
      const { origin, close } = await serve((at) => quickstart(at, dataFile(file)));
      try {
        const { visit } = browser(origin);
        const consent = await visit((await visit('/app/start')).url, { name: 'carol' });
        // A public client on loopback is asked for each time (RFC 8252 §8.6).
        await visit(action(consent.text), { request: field(consent.text, 'request'), decision: 'allow' });
        expect((await visit('/app')).text).toContain('&#34;sub&#34;: &#34;carol&#34;');
        expect(await dataFile(file).adapter.listGrants('carol')).toHaveLength(start);
        keySets.push((await visit('/oauth/jwks')).text);
      } finally {
        await close();
      }
    }
    expect(keySets[0]).toContain('"kty":"EC"');
    expect(keySets[1]).toBe(keySets[0]);
    expect(statSync(`${file}.keys.json`).mode & 0o077).toBe(0);
    rmSync(directory, { recursive: true });
  });
});

describe('examples/existing-app.ts', () => {
  it('serves a mobile app behind sessions and body parsers, under its own prefix', async () => {
    const { origin, close } = await serve(existingApp);
    try {
      const base = `${origin}/api/v1/auth/oauth`;
      const metadata = (await (
        await fetch(`${origin}/.well-known/oauth-authorization-server/api/v1/auth/oauth`)
      ).json()) as { token_endpoint: string };
      expect(metadata.token_endpoint).toBe(`${base}/token`);

      const verifier = randomBytes(32).toString('base64url');
      const query = new URLSearchParams({
        response_type: 'code',
        client_id: 'mobile',
        redirect_uri: 'com.example.mobile:/callback',
        state: 's',
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
      });
      const { visit } = browser(origin);
      const login = await visit(`${base}/authorize?${query.toString()}`);
      expect((await visit(login.url, {})).status).toBe(401);
      const consent = await visit(login.url, { email: 'alice@example.com', password: 'wonderland' });
      const done = await visit(action(consent.text), {
        request: field(consent.text, 'request'),
        decision: 'allow',
      });
      expect(done.url).toMatch(/^com\.example\.mobile:\/callback\?code=/);

      const code = new URLSearchParams(done.url.split('?')[1]).get('code')!;
      const response = await fetch(metadata.token_endpoint, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({
          grant_type: 'authorization_code',
          client_id: 'mobile',
          code,
          code_verifier: verifier,
          redirect_uri: 'com.example.mobile:/callback',
        }),
      });
      const { access_token: token } = (await response.json()) as { access_token: string };
      const invoices = await fetch(`${origin}/api/v1/invoices`, {
        headers: { Authorization: `Bearer ${token}` },
      });
      expect(await invoices.json()).toEqual({ owner: '7', email: 'alice@example.com', invoices: [] });
    } finally {
      await close();
    }
  });
});
