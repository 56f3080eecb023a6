import { mock } from 'node:test';

import express from 'express';
import request from 'supertest';

import * as library from 'express-oauth-router';

it('has these public names, and no others', () => {
  expect(Object.keys(library).sort()).toEqual([
    'OAuthConfigurationError',
    'OAuthError',
    'accountAlreadyLinked',
    'accountLinking',
    'checkClient',
    'createOAuthRouter',
    'createTokenVerifier',
    'fromRfc7591',
    'generateClientSecret',
    'hashClientSecret',
    'mcpAuthInfo',
    'memoryAdapter',
    'oauth2Provider',
    'oidcProvider',
    'providerPresets',
    'redisAdapter',
    'toRfc7591',
  ]);
});

const { createOAuthRouter, memoryAdapter, OAuthConfigurationError, OAuthError } = library;

const MACHINE = { clientId: 'machine', clientSecret: 'secret', grantTypes: ['client_credentials'] };

function tokenAt(path: string, options: Partial<library.OAuthRouterOptions> = {}): request.Test {
  const oauth = createOAuthRouter({
    issuer: `http://localhost:3000${path}`,
    adapter: memoryAdapter(),
    clients: [MACHINE],
    authenticate: () => undefined,
    loginUrl: '/login',
    ...options,
  });
  return request(express().use(path, oauth))
    .post(`${path}/token`)
    .auth('machine', 'secret')
    .type('form')
    .send({ grant_type: 'client_credentials' });
}

describe('where a test runner loads the modules anew', () => {
  beforeEach(() => jest.resetModules());

  it('an error of the host is known', async () => {
    const beforeIssueToken = (): never => {
      throw new OAuthError('mfa_required', 'A second factor is needed');
    };
    const { status, body } = await tokenAt('/oauth', { beforeIssueToken });
    expect([status, body]).toEqual([
      400,
      { error: 'mfa_required', error_description: 'A second factor is needed' },
    ]);
  });

  it('so are the errors of the library, and its memory adapter', () => {
    expect(() => createOAuthRouter({} as never)).toThrow(OAuthConfigurationError);
    const production = { issuer: 'https://api.example.com', adapter: memoryAdapter() };
    expect(() => createOAuthRouter(production as never)).toThrow(/must not be the memory adapter/);
  });
});

it('a subclass of an error knows its own instances only', () => {
  class Own extends OAuthError {}
  expect(new Own('x')).toBeInstanceOf(OAuthError);
  expect(new Own('x')).toBeInstanceOf(Own);
  expect(new OAuthError('x')).not.toBeInstanceOf(Own);
  expect(new Error('x')).not.toBeInstanceOf(OAuthError);
});

it('requests are answered while a test controls the time', async () => {
  mock.timers.enable({ apis: ['setTimeout', 'setImmediate'] });
  try {
    const adapter = memoryAdapter();
    await adapter.put('key', 'value', 10);
    expect(await adapter.get('key')).toBe('value');
  } finally {
    mock.timers.reset();
  }
});

it('the parameters of the path at which the host mounts it mean nothing', async () => {
  const seen: unknown[] = [];
  const oauth = createOAuthRouter({
    issuer: 'http://localhost:3000/acme/oauth',
    clients: [{ clientId: 'web', redirectUris: ['https://app.example.com/callback'] }],
    authenticate: () => undefined,
    loginUrl: '/login',
    rateLimit: (req) => void seen.push({ ...req.params }),
  });
  const response = await request(express().use('/:providerId/oauth', oauth))
    .get('/acme/oauth/authorize')
    .query({
      client_id: 'web',
      response_type: 'code',
      code_challenge: 'x'.repeat(43),
      code_challenge_method: 'S256',
    });
  expect(response.headers.location).toMatch(/^\/login/);
  expect(seen).toEqual([{}]);
});
