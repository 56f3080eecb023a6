import express from 'express';
import { getOAuthProtectedResourceMetadataUrl, requireBearerAuth } from '@modelcontextprotocol/express';
import request from 'supertest';

import { createTokenVerifier, mcpAuthInfo, OAuthConfigurationError } from 'express-oauth-router';

import { getTokens, makeHost, VARIANTS, type Host } from '../support/host';

const MCP = 'http://localhost:3000/mcp';

describe.each(VARIANTS)('the MCP SDK with tokens of this server, on $store at the $mount', (variant) => {
  let host: Host;
  beforeEach(() => {
    host = makeHost(variant, {
      resources: [{ identifier: MCP, scopes: ['profile', 'orders:read'] }, 'https://orders.example.com'],
      protect: (app, oauth) => {
        const verifier = oauth.mcpTokenVerifier({ audience: MCP, checkRevocation: true });
        const resourceMetadataUrl = getOAuthProtectedResourceMetadataUrl(new URL(MCP));
        const common = { verifier, resourceMetadataUrl, expectedResource: new URL(MCP) };
        app.get('/mcp', requireBearerAuth({ ...common, requiredScopes: ['profile'] }), (req, res) => {
          res.json(req.auth);
        });
        app.get('/mcp/admin', requireBearerAuth({ ...common, requiredScopes: ['admin'] }), (_req, res) => {
          res.json('admin');
        });
        app.get('/own', oauth.requireToken({ audience: MCP }), (req, res) => {
          res.json(mcpAuthInfo(req));
        });
      },
    });
  });

  const call = (path: string, token?: string): request.Test => {
    const test = request(host.app).get(path);
    return token === undefined ? test : test.set('Authorization', `Bearer ${token}`);
  };

  it('requireBearerAuth of version 2 accepts them, with their expiry and resource', async () => {
    const { access_token: token } = await getTokens(host, 'web', { resource: MCP, scope: 'profile' });
    const expected = {
      token,
      clientId: 'web',
      scopes: ['profile'],
      expiresAt: expect.any(Number),
      resource: MCP,
      extra: { subject: 'alice', userId: 'alice', grantId: expect.any(String) },
    };
    const { status, body } = await call('/mcp', token);
    expect([status, body]).toMatchObject([200, expected]);
    expect(body.expiresAt).toBeLessThan(Date.now() / 1000 + 3601);
    expect((await call('/own', token)).body).toEqual(expected);
  });

  it('refuses others as the SDK says it', async () => {
    const metadata = 'resource_metadata="http://localhost:3000/.well-known/oauth-protected-resource/mcp"';
    const { access_token: other } = await getTokens(host, 'web', { resource: 'https://orders.example.com' });
    const { access_token: token } = await getTokens(host, 'web', { resource: MCP });
    const bound = host.oauth.issueAccessToken({
      subject: 'alice',
      clientId: 'web',
      audience: MCP,
      claims: { cnf: { jkt: 'x'.repeat(43) } },
    });
    for (const refused of ['garbage', other, bound]) {
      const { status, headers, body } = await call('/mcp', refused);
      expect([status, body.error]).toEqual([401, 'invalid_token']);
      expect(headers['www-authenticate']).toContain(metadata);
    }
    const narrow = await call('/mcp/admin', token);
    expect([narrow.status, narrow.body.error]).toEqual([403, 'insufficient_scope']);
    await host.oauth.revokeGrants({ userId: 'alice' });
    expect((await call('/mcp', token)).status).toBe(401);
  });

  it('an outage is not the token’s fault', async () => {
    const { access_token: token } = await getTokens(host, 'web', { resource: MCP });
    const own = makeHost(variant, {
      adapter: { ...host.adapter, getGrant: () => Promise.reject(new Error('down')) },
      resources: [MCP],
      clock: () => host.now,
    });
    const app = express().get(
      '/mcp',
      requireBearerAuth({ verifier: own.oauth.mcpTokenVerifier({ audience: MCP, checkRevocation: true }) }),
    );
    // Development shares its generated signing keys among routers.
    expect((await request(app).get('/mcp').set('Authorization', `Bearer ${token}`)).status).toBe(500);
  });

  it('checks its options at the start', () => {
    expect(() => host.oauth.mcpTokenVerifier({ scopes: 'x' } as never)).toThrow(OAuthConfigurationError);
    const verifier = createTokenVerifier({ issuer: 'https://as.example', audience: MCP });
    expect(() => verifier.mcpTokenVerifier({ checkRevocation: true })).toThrow(OAuthConfigurationError);
  });
});
