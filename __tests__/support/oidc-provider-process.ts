/** An upstream OpenID Connect provider in its own process: prints its port, and serves until it is killed. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { Provider } from 'oidc-provider';

const redirectUris = process.argv.slice(2);
const ACCOUNTS: Record<string, Record<string, unknown>> = {
  alice: { email: 'alice@example.com', email_verified: true, name: 'Alice Upstream' },
  mallory: { email: 'alice@example.com', email_verified: false, name: 'Mallory' },
};

const server = createServer().listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  const provider = new Provider(`http://localhost:${port}`, {
    clients: [
      {
        client_id: 'our-server',
        client_secret: 'upstream-secret',
        redirect_uris: redirectUris,
        token_endpoint_auth_method: 'client_secret_post',
        grant_types: ['authorization_code', 'refresh_token'],
      },
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    scopes: ['openid', 'offline_access', 'calendar'],
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, ...ACCOUNTS[id] }) }),
    issueRefreshToken: () => Promise.resolve(true),
    rotateRefreshToken: true,
    // So that every access token must be refreshed as soon as it is issued.
    ttl: { AccessToken: () => 30 },
    cookies: { keys: ['of the tests'] },
  });
  server.on('request', provider.callback() as (...args: unknown[]) => void);
  process.stdout.write(`${port}\n`);
});
