import type { Browser, BrowserContext, Page } from 'playwright-core';

import { createOAuthRouter, oidcProvider } from 'express-oauth-router';

import { claimsOf, pkce } from '../support/host';
import { startProcess, type ServerProcess } from '../support/process';
import { launchChromium } from './chromium';
import { tlsServer, type TlsServer } from './tls-server';

/** A host over TLS on this machine, an app elsewhere, and a provider in a process of its own. */
describe.each(['query', 'form_post'] as const)(
  'signing in through a provider in a browser (%s)',
  (responseMode) => {
    let browser: Browser;
    let context: BrowserContext;
    let tab: Page;
    let server: TlsServer;
    let upstream: ServerProcess;
    let issuer: string;
    let app: string;

    beforeAll(async () => {
      server = await tlsServer();
      issuer = `https://localhost:${server.port}/oauth`;
      app = `https://app.example.test:${server.port}/callback`;
      upstream = await startProcess('oidc-provider-process.ts', `${issuer}/callback/acme`);
      const oauth = createOAuthRouter({
        issuer,
        clients: [
          { clientId: 'app', redirectUris: [app], scope: 'profile', firstParty: true },
          {
            clientId: 'shop',
            redirectUris: ['urn:ietf:wg:oauth:2.0:oob:auto'],
            outOfBand: 'json',
            scope: 'profile',
          },
        ],
        federation: {
          providers: {
            acme: oidcProvider({
              issuer: upstream.origin.replace('127.0.0.1', 'localhost'),
              clientId: 'our-server',
              clientSecret: 'upstream-secret',
              responseMode,
            }),
          }, // The host's own session begins with the sign-in.
          resolveUser: ({ subject }, { response }) => {
            response.cookie('session', subject, { httpOnly: true, secure: true, sameSite: 'none' });
            return { id: subject };
          },
        },

        authenticate: (req) => {
          const id = /session=(\w+)/.exec(req.headers.cookie ?? '')?.[1];
          return id === undefined ? undefined : { id };
        },
        loginUrl: '/login',
        outOfBand: { anonymousSubject: ({ ip }) => ({ id: `guest of ${ip!}` }) },
      });
      server.express.use('/oauth', oauth);
      server.express.use((_req, res) => void res.send('<!doctype html><title>App</title>'));
      browser = await launchChromium();
    });
    afterAll(async () => {
      await browser.close();
      await upstream.kill();
      await server.close();
    });

    beforeEach(async () => {
      context = await browser.newContext({ ignoreHTTPSErrors: true });
      tab = await context.newPage();
    });
    afterEach(() => context.close());

    async function signIn(): Promise<{ answer: URLSearchParams; verifier: string; callback: string }> {
      const { challenge, verifier } = pkce();
      const query = new URLSearchParams({
        response_type: 'code',
        client_id: 'app',
        redirect_uri: app,
        state: 'xyz',
        code_challenge: challenge,
        code_challenge_method: 'S256',
      });
      let callback = '';
      tab.on('request', (request) => {
        if (request.url().startsWith(`${issuer}/callback/acme`)) callback = request.url();
      });
      await tab.goto(`${issuer}/authorize/acme?${query.toString()}`);
      await tab.fill('[name=login]', 'alice');
      await tab.fill('[name=password]', 'any');
      await tab.click('[type=submit]');
      await tab.click('[type=submit]');
      await tab.waitForURL(`${app}?**`);
      return { answer: new URL(tab.url()).searchParams, verifier, callback };
    }

    it('comes back to the app with a code, by a __Host- cookie that is gone afterwards', async () => {
      const { answer, verifier, callback } = await signIn();
      expect(answer.get('state')).toBe('xyz');
      expect(answer.get('iss')).toBe(issuer);
      const names = (await context.cookies(issuer)).map(({ name }) => name);
      expect(names).toContain('session');
      expect(names.filter((name) => name.includes('oauth-'))).toEqual([]);

      const response = await context.request.post(`${issuer}/token`, {
        form: {
          grant_type: 'authorization_code',
          client_id: 'app',
          code: answer.get('code')!,
          code_verifier: verifier,
          redirect_uri: app,
        },
      });
      const tokens = (await response.json()) as { access_token: string };
      expect(claimsOf(tokens.access_token).sub).toBe('alice');

      // The same callback again, here and in the browser of somebody else.
      expect((await tab.goto(callback))!.status()).toBe(400);
      const other = await browser.newContext({ ignoreHTTPSErrors: true });
      expect((await (await other.newPage()).goto(callback))!.status()).toBe(400);
      await other.close();
    });

    it('a page of somebody else’s gets no out-of-band code with the user’s session', async () => {
      await signIn();
      const query = new URLSearchParams({
        response_type: 'code',
        client_id: 'shop',
        redirect_uri: 'urn:ietf:wg:oauth:2.0:oob:auto',
        state: 'xyz',
        code_challenge: 'a'.repeat(43),
        code_challenge_method: 'S256',
      });
      const url = `${issuer}/authorize?${query.toString()}`;
      const seen = await tab.evaluate(async (target) => {
        try {
          const response = await fetch(target, { credentials: 'include' });
          return await response.text();
        } catch (error) {
          return `refused: ${(error as Error).name}`;
        }
      }, url);
      expect(seen).toBe('refused: TypeError');
    });
  },
);
