import { createHash, randomBytes } from 'node:crypto';

export const CLIENT = { id: 'web', secret: 'k3Jd9fQ2vX7bN1mZ5tR8wY4cL6hG0pSa' };
export const CALLBACK = 'https://app.example.com/callback';
export const BASIC = `Basic ${Buffer.from(`${CLIENT.id}:${CLIENT.secret}`).toString('base64')}`;
export const FORM = { authorization: BASIC, 'content-type': 'application/x-www-form-urlencoded' };

export function pkce() {
  const verifier = randomBytes(32).toString('base64url');
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') };
}

export function listen(app) {
  return new Promise((resolve) => {
    const server = app.listen(0, '127.0.0.1', () => resolve(server.address().port));
    server.keepAliveTimeout = 60_000;
  });
}

/** Requests for a path: each has the whole body. */
export const form = (path, parameters) => ({
  method: 'POST',
  path,
  headers: FORM,
  body: new URLSearchParams(parameters).toString(),
});

export const credentials = (path) => form(path, { grant_type: 'client_credentials', scope: 'api' });
export const exchange = (path, { code, verifier }) =>
  form(path, { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: CALLBACK });
export const refreshing = (path, refreshToken) =>
  form(path, { grant_type: 'refresh_token', refresh_token: refreshToken });
