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
