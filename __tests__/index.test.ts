import * as library from 'express-oauth-router';

it('has these public names, and no others', () => {
  expect(Object.keys(library).sort()).toEqual([
    'OAuthConfigurationError',
    'OAuthError',
    'accountAlreadyLinked',
    'accountLinking',
    'createOAuthRouter',
    'createTokenVerifier',
    'generateClientSecret',
    'hashClientSecret',
    'mcpAuthInfo',
    'memoryAdapter',
    'oauth2Provider',
    'oidcProvider',
    'providerPresets',
    'redisAdapter',
  ]);
});
