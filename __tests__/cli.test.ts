import { spawnSync } from 'node:child_process';
import path from 'node:path';

import { createOAuthRouter } from 'express-oauth-router';

const cli = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
  spawnSync(process.execPath, ['--import', 'tsx', path.join(__dirname, '../lib/cli.ts'), ...args], {
    encoding: 'utf8',
  });

describe('npx express-oauth-router', () => {
  it('init prints a secret and a key that the router takes, new each time', () => {
    const { status, stdout } = cli('init');
    expect(status).toBe(0);
    const [, secret, key] = /^OAUTH_SECRET=([\w-]+)\nOAUTH_SIGNING_KEY=([\w-]+)\n$/.exec(stdout) ?? [];
    createOAuthRouter({
      issuer: 'http://localhost',
      secrets: [secret],
      signingKeys: [key],
      authenticate: () => undefined,
      loginUrl: '/login',
    });
    expect(cli('init').stdout).not.toBe(stdout);
  });

  it('init --rsa adds a key for clients that expect RS256', () => {
    const { stdout } = cli('init', '--rsa');
    const [, first, second] = /\nOAUTH_SIGNING_KEY=([\w-]+)\nOAUTH_RSA_KEY=([\w-]+)\n$/.exec(stdout) ?? [];
    const router = createOAuthRouter({
      issuer: 'http://localhost',
      signingKeys: [first, second],
      clients: [{ clientId: 'a', redirectUris: ['https://a.example'], idTokenSignedResponseAlg: 'RS256' }],
      authenticate: () => undefined,
      loginUrl: '/login',
    });
    expect(router).toBeInstanceOf(Function);
  });

  it.each([[[]], [['nothing']], [['init', 'x']]])('with %j says how it is used', (args) => {
    expect(cli(...args)).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringContaining('Usage') as string,
    });
  });
});
