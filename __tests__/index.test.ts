import * as library from 'express-oauth-router';

it('has these public names, and no others', () => {
  expect(Object.keys(library).sort()).toEqual([
    'OAuthConfigurationError',
    'OAuthError',
    'createOAuthRouter',
    'createTokenVerifier',
    'generateClientSecret',
    'hashClientSecret',
    'memoryAdapter',
    'redisAdapter',
  ]);
});
