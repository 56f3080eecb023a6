import { spawnSync } from 'node:child_process';
import path from 'node:path';

import { createOAuthRouter } from 'express-oauth-router';

const cli = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
  spawnSync(process.execPath, ['--import', 'tsx', path.join(__dirname, '../lib/cli.ts'), ...args], {
    encoding: 'utf8',
  });

describe('npx express-oauth-router', () => {
  it('init prints a secret and two keys that the router takes, new each time', () => {
    const { status, stdout } = cli('init');
    expect(status).toBe(0);
    const [, secret, first, second] =
      /^OAUTH_SECRET=([\w-]+)\nOAUTH_SIGNING_KEY=([\w-]+)\nOAUTH_RSA_KEY=([\w-]+)\n$/.exec(stdout) ?? [];
    createOAuthRouter({
      issuer: 'http://localhost',
      secrets: [secret],
      signingKeys: [first, second],
      // Most OpenID Connect clients expect RS256: what works in development works in production.
      clients: [{ clientId: 'a', redirectUris: ['https://a.example'], idTokenSignedResponseAlg: 'RS256' }],
      authenticate: () => undefined,
      loginUrl: '/login',
    });
    expect(cli('init').stdout).not.toBe(stdout);
  });

  it.each([[[]], [['nothing']], [['init', 'x']]])('with %j says how it is used', (args) => {
    expect(cli(...args)).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringContaining('Usage') as string,
    });
  });
});
