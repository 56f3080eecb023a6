import { randomBytes } from 'node:crypto';

import * as v2 from '@modelcontextprotocol/client';
import * as v1Auth from '@modelcontextprotocol/sdk/client/auth.js';
import * as v1 from '@modelcontextprotocol/sdk/client/index.js';
import * as v1Http from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import express from 'express';

import { oidcProvider } from 'express-oauth-router';

import { createApp as createBridge } from '../../examples/mcp-bridge';
import { browser } from '../support/browser';
import { startDocumentServer, type DocumentServer } from '../support/document-server';
import { listen, MOUNTS } from '../support/host';
import { startProcess, startProcessWith, type ServerProcess } from '../support/process';

/** The parts that the clients of both versions of the MCP SDK share. */
interface Sdk {
  connect(provider: object, url: URL): Session;
}

interface Session {
  listTools(): Promise<string[]>;
  call(tool: string): Promise<string>;
  finishAuth(callback: URLSearchParams): Promise<void>;
  /** Connects, or throws because the user must sign in. */
  start(): Promise<void>;
}

interface ToolResult {
  content: { text: string }[];
}

const SDKS: Record<string, { sdk: Sdk; unauthorized: new (...args: never[]) => Error }> = {
  'version 1': {
    unauthorized: v1Auth.UnauthorizedError,
    sdk: {
      connect: (provider, url) => {
        const client = new v1.Client({ name: 'test', version: '1' });
        let transport = new v1Http.StreamableHTTPClientTransport(url, { authProvider: provider as never });
        return {
          start: () => client.connect(transport),
          finishAuth: async (callback) => {
            await transport.finishAuth(callback.get('code')!);
            await client.close();
            transport = new v1Http.StreamableHTTPClientTransport(url, { authProvider: provider as never });
          },
          listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
          call: async (name) => ((await client.callTool({ name })) as unknown as ToolResult).content[0]!.text,
        };
      },
    },
  },
  'version 2': {
    unauthorized: v2.UnauthorizedError,
    sdk: {
      connect: (provider, url) => {
        const client = new v2.Client({ name: 'test', version: '1' });
        let transport = new v2.StreamableHTTPClientTransport(url, { authProvider: provider as never });
        return {
          start: () => client.connect(transport),
          finishAuth: async (callback) => {
            await transport.finishAuth(callback);
            await client.close();
            transport = new v2.StreamableHTTPClientTransport(url, { authProvider: provider as never });
          },
          listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
          call: async (name) => ((await client.callTool({ name })) as unknown as ToolResult).content[0]!.text,
        };
      },
    },
  },
};

interface StoredTokens {
  access_token: string;
  refresh_token?: string;
  scope?: string;
  token_type: string;
}

/** A client's storage, as an app has it. */
class Provider {
  redirectUrl = 'http://localhost:51763/callback';
  clientMetadata = {
    client_name: 'Test client',
    redirect_uris: [this.redirectUrl],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  };
  authorizationUrl: URL | undefined;
  information: { client_id: string } | undefined;
  stored: StoredTokens | undefined;
  private verifier = '';
  private discovery: unknown;
  private currentState = '';

  constructor(readonly clientMetadataUrl: string | undefined) {}

  state(): string {
    return (this.currentState = randomBytes(8).toString('hex'));
  }
  clientInformation(): { client_id: string } | undefined {
    return this.information;
  }
  saveClientInformation(information: { client_id: string }): void {
    this.information = information;
  }
  tokens(): StoredTokens | undefined {
    return this.stored;
  }
  saveTokens(tokens: StoredTokens): void {
    this.stored = tokens;
  }
  redirectToAuthorization(url: URL): void {
    this.authorizationUrl = url;
  }
  saveCodeVerifier(verifier: string): void {
    this.verifier = verifier;
  }
  codeVerifier(): string {
    return this.verifier;
  }
  saveDiscoveryState(state: unknown): void {
    this.discovery = state;
  }
  discoveryState(): unknown {
    return this.discovery;
  }
  takeUrl(): URL {
    const url = this.authorizationUrl!;
    this.authorizationUrl = undefined;
    expect(url.searchParams.get('state')).toBe(this.currentState);
    return url;
  }
}

const field = (html: string): string => /name="request" value="([^"]+)"/.exec(html)![1]!;
const action = (html: string): string => /action="([^"]+)"/.exec(html)![1]!;

describe.each(MOUNTS)(
  'MCP clients that know nothing but a URL, with the issuer at the $mount',
  ({ mount }) => {
    let documents: DocumentServer;
    let server: ServerProcess;
    let origin: string;
    beforeAll(async () => {
      documents = await startDocumentServer();
      const environment = { NODE_EXTRA_CA_CERTS: documents.certificateFile };
      const keys = `test:${randomBytes(6).toString('hex')}:`;
      server = await startProcessWith(
        environment,
        'mcp-server-process.ts',
        keys,
        mount === 'root' ? '' : '/oauth',
      );
      origin = server.origin.replace('127.0.0.1', 'localhost');
    }, 60_000);
    afterAll(async () => {
      await server.kill();
      documents.close();
    });

    /** Signs in where the client sends the browser, allows it, and returns the parameters of the callback. */
    async function allow(provider: Provider, person: ReturnType<typeof browser>): Promise<URLSearchParams> {
      let page = await person.visit(provider.takeUrl().href);
      if (page.url.includes('/login')) page = await person.visit(page.url, { name: 'alice' });
      if (page.text.includes('http-equiv="refresh"'))
        page = await person.visit(/content="0; url=([^"]+)"/.exec(page.text)![1]!.replaceAll('&amp;', '&'));
      expect(page.text).toContain('Allow access to your account?');
      const { url } = await person.visit(action(page.text), { request: field(page.text), decision: 'allow' });
      expect(url.startsWith('http://localhost:51763/callback?')).toBe(true);
      return new URL(url).searchParams;
    }

    describe.each(Object.entries(SDKS))('the SDK of %s', (version, { sdk, unauthorized }) => {
      const keepsTokens = version === 'version 1';

      it.each(['a metadata document', 'registration'])(
        'by %s: signs in, calls a tool, refreshes, and steps up to a wider scope',
        async (way) => {
          const url = `${documents.origin}/client.json`;
          // As native clients publish it: without the port, which they choose later.
          documents.documents.set('/client.json', {
            client_id: url,
            client_name: 'Document client',
            redirect_uris: ['http://localhost/callback', 'http://127.0.0.1/callback'],
            grant_types: ['authorization_code', 'refresh_token'],
            response_types: ['code'],
            token_endpoint_auth_method: 'none',
          });
          const provider = new Provider(way === 'registration' ? undefined : url);
          const person = browser(origin, [provider.redirectUrl]);
          const session = sdk.connect(provider, new URL(`${origin}/mcp`));

          await expect(session.start()).rejects.toThrow(unauthorized);
          if (way === 'registration') expect(provider.information!.client_id).toMatch(/^[\w-]{43}$/);
          else expect(provider.information!.client_id).toBe(url);
          await session.finishAuth(await allow(provider, person));
          await session.start();
          expect(provider.stored!.scope!.split(' ')).toEqual(expect.arrayContaining(['notes:read']));
          expect(provider.stored!.scope).not.toContain('notes:write');
          expect(await session.listTools()).toEqual(['list_notes', 'add_note']);
          expect(await session.call('list_notes')).toBeTruthy();

          // The access token is lost: the client refreshes without the user.
          const before = provider.stored!;
          expect(before.refresh_token).toBeTruthy();
          provider.stored = { ...before, access_token: 'expired' };
          expect(await session.call('list_notes')).toBeTruthy();
          expect(provider.authorizationUrl).toBeUndefined();
          expect(provider.stored.refresh_token).not.toBe(before.refresh_token);

          // 403 with the scope: the client asks its user for more, and tries again.
          if (keepsTokens) {
            // This version refreshes, although that cannot widen a scope: an app has to forget the tokens first.
            await expect(session.call('add_note')).rejects.toThrow('403 after trying upscoping');
            provider.stored = undefined;
          }
          await expect(session.call('add_note')).rejects.toThrow(unauthorized);
          await session.finishAuth(await allow(provider, person));
          await session.start();
          expect(provider.stored!.scope).toContain('notes:write');
          expect(await session.call('add_note')).toBe('added');
        },
      );
    });

    it('the SDK of version 2 with DPoP', async () => {
      const url = `${documents.origin}/bound.json`;
      documents.documents.set('/bound.json', {
        client_id: url,
        redirect_uris: ['http://localhost/callback'],
        grant_types: ['authorization_code', 'refresh_token'],
        dpop_bound_access_tokens: true,
      });
      const session = await v2.DpopSession.create();
      const provider = Object.assign(new Provider(url), { dpop: () => session });
      const person = browser(origin, [provider.redirectUrl]);
      const { sdk, unauthorized } = SDKS['version 2']!;
      const client = sdk.connect(provider, new URL(`${origin}/mcp`));

      await expect(client.start()).rejects.toThrow(unauthorized);
      await client.finishAuth(await allow(provider, person));
      await client.start();
      expect(provider.stored!.token_type).toBe('DPoP');
      expect(await client.call('list_notes')).toBeTruthy();
      const before = provider.stored!;
      provider.stored = { ...before, access_token: 'expired' };
      expect(await client.call('list_notes')).toBeTruthy();
      expect(provider.stored.refresh_token).not.toBe(before.refresh_token);

      const stolen = await fetch(`${origin}/mcp`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${before.access_token}`, 'Content-Type': 'application/json' },
        body: '{}',
      });
      expect(stolen.status).toBe(401);
      expect(stolen.headers.get('www-authenticate')).toMatch(/^DPoP error="invalid_token"/);
    });
  },
);

describe('the bridge to a provider that knows no MCP client', () => {
  it('asks for each client before anything goes upstream, and signs in there', async () => {
    const shell = express();
    const { origin, close } = await listen(shell);
    const upstream = await startProcess('oidc-provider-process.ts', `${origin}/oauth/callback/company`);
    try {
      const issuer = upstream.origin.replace('127.0.0.1', 'localhost');
      const company = oidcProvider({ issuer, clientId: 'our-server', clientSecret: 'upstream-secret' });
      shell.use(createBridge(origin, company));
      const provider = new Provider(undefined);
      const person = browser(origin, [provider.redirectUrl]);
      const { sdk, unauthorized } = SDKS['version 2']!;
      const session = sdk.connect(provider, new URL(`${origin}/mcp`));
      await expect(session.start()).rejects.toThrow(unauthorized);

      const page = await person.visit(provider.takeUrl().href);
      expect([new URL(page.url).origin, page.text.includes('Allow access to your account?')]).toEqual([
        origin,
        true,
      ]);
      const login = await person.visit(action(page.text), { request: field(page.text), decision: 'allow' });
      expect(new URL(login.url).origin).toBe(issuer);
      const consent = await person.visit(login.url, { prompt: 'login', login: 'alice', password: 'any' });
      const back = await person.visit(consent.url, { prompt: 'consent' });
      expect(back.url.startsWith(provider.redirectUrl)).toBe(true);
      await session.finishAuth(new URL(back.url).searchParams);
      await session.start();
      expect(await session.call('list_notes')).toBeTruthy();
    } finally {
      await upstream.kill();
      await close();
    }
  }, 30_000);
});
