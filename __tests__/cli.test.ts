import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import express from 'express';
import request from 'supertest';

import { createOAuthRouter, memoryAdapter } from 'express-oauth-router';
import { pgMigrations } from 'express-oauth-router/postgres';

interface TokenAnswer {
  access_token: string;
  refresh_token: string;
}

const CLIENT = {
  clientId: 'web',
  clientSecret: 'secret',
  redirectUris: ['https://a.example/cb'],
  requirePkce: false,
  firstParty: true,
};

interface Ran {
  status: number | null;
  stdout: string;
  stderr: string;
}

const cliWith = (input: string, ...args: string[]): Ran =>
  spawnSync(process.execPath, ['--import', 'tsx', path.join(__dirname, '../lib/cli.ts'), ...args], {
    encoding: 'utf8',
    // Node calls its SQLite experimental.
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
    input,
  });
const cli = (...args: string[]): Ran => cliWith('', ...args);

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

  it('keys rotate prints three steps, and what one step issues is good in the next one', async () => {
    const { stdout: before } = cli('init');
    const { status, stdout } = cliWith(`NODE_ENV=production\n${before}`, 'keys', 'rotate');
    expect(status).toBe(0);
    const steps = [before, ...stdout.split('\n\n')];
    expect(steps).toHaveLength(4);
    const adapter = memoryAdapter();
    const routers = steps.map((step) => {
      const value = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(step)![1]!;
      return createOAuthRouter({
        issuer: 'http://localhost',
        adapter,
        secrets: [value('OAUTH_SECRET')],
        signingKeys: [value('OAUTH_SIGNING_KEY'), value('OAUTH_RSA_KEY')],
        clients: [CLIENT],
        authenticate: () => ({ id: 'alice' }),
        loginUrl: '/login',
      });
    });
    const apps = routers.map((oauth) => express().use(oauth));
    const token = async (at: number, form: Record<string, string>): Promise<TokenAnswer> => {
      const response = await request(apps[at]!).post('/token').type('form').auth('web', 'secret').send(form);
      expect([at, response.status]).toEqual([at, 200]);
      return response.body as TokenAnswer;
    };
    const location = (await request(apps[0]!).get('/authorize?response_type=code&client_id=web')).headers
      .location!;
    let { refresh_token: refreshToken, access_token: accessToken } = await token(0, {
      grant_type: 'authorization_code',
      code: new URL(location).searchParams.get('code')!,
    });
    const issued: string[] = [];
    for (const [at, oauth] of routers.entries()) {
      if (at > 0) expect(await oauth.verifyToken(accessToken)).toMatchObject({ userId: 'alice' });
      ({ refresh_token: refreshToken, access_token: accessToken } = await token(at, {
        grant_type: 'refresh_token',
        refresh_token: refreshToken,
      }));
      // A process that is still at the step before takes it too.
      if (at > 0) expect(await routers[at - 1]!.verifyToken(accessToken)).toMatchObject({ userId: 'alice' });
      issued.push(JSON.parse(Buffer.from(accessToken.split('.')[0]!, 'base64url').toString()).kid as string);
    }
    const [first, appended, promoted, removed] = issued;
    expect([first === appended, appended === promoted, promoted === removed]).toEqual([true, false, true]);
  });

  it.each([
    ['', /no OAUTH_SECRET/],
    ['OAUTH_SECRET=', /form that init prints/],
    ['OAUTH_SECRET=a,b', /under way/],
    ['OAUTH_SIGNING_KEY=eyJ4IjoxfQ', /OAUTH_SIGNING_KEY is a JWK without alg/],
    [`OAUTH_SECRET=${'ab'.repeat(32)}`, /form that init prints/],
    [`OAUTH_SECRET=${'a'.repeat(43)} # a comment`, /form that init prints/],
    [
      `OAUTH_SECRET=${'a'.repeat(43)}\nOAUTH_SIGNING_KEY='{"kty":"EC"}'`,
      /OAUTH_SIGNING_KEY is not in the form/,
    ],
  ])('keys rotate refuses %j', (input, message) => {
    expect(cliWith(input, 'keys', 'rotate')).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(message) as string,
    });
  });

  describe.each([
    ['--sqlite', (directory: string): string => path.join(directory, 'oauth.db')],
    ['--redis', (): string => process.env.REDIS_URL!],
    ['--adapter', (directory: string): string => path.join(directory, 'adapter.mjs')],
  ])('client with %s', (flag, place) => {
    const directory = mkdtempSync(`${tmpdir()}/oauth-cli-`);
    const prefix = flag === '--adapter' ? [] : ['--prefix', `cli${randomBytes(4).toString('hex')}_`];
    const client = (...args: string[]): Ran => cli('client', ...args, flag, place(directory), ...prefix);

    beforeAll(() => {
      const url = (file: string): string => JSON.stringify(pathToFileURL(path.join(__dirname, file)).href);
      writeFileSync(
        path.join(directory, 'adapter.mjs'),
        `import { sqliteAdapter } from ${url('../lib/adapters/sqlite.ts')};
         import { openSqlite } from ${url('support/sqlite.ts')};
         export const adapter = () => sqliteAdapter(openSqlite(${JSON.stringify(path.join(directory, 'own.db'))}));`,
      );
    });
    afterAll(() => rmSync(directory, { recursive: true }));

    it('creates, lists, gives a new secret, and deletes', () => {
      const parsed = ({ stdout, stderr }: Ran): Record<string, unknown> => {
        expect(stderr.replaceAll(/.*Warning.*\n/g, '')).toBe('');
        return JSON.parse(stdout) as Record<string, unknown>;
      };
      const created = parsed(
        client('create', '--name', 'Web', '--redirect-uri', 'https://a.example/cb', '--scope', 'a b'),
      );
      expect(created).toMatchObject({ client_name: 'Web', redirect_uris: ['https://a.example/cb'] });
      expect(created.client_secret).toMatch(/^[\w-]{43}$/);
      const id = created.client_id as string;
      expect(parsed(client('list'))).toMatchObject({ client_id: id, client_name: 'Web' });
      const rotated = parsed(client('rotate-secret', id, '--keep-for', '60'));
      expect(rotated.client_secret).not.toBe(created.client_secret);
      expect(parsed(client('delete', id))).toEqual({ client_id: id });
      expect(client('list').stdout).toBe('');
      expect(client('delete', id)).toMatchObject({ status: 1, stderr: `there is no client ${id}\n` });
    }, 60_000);

    it('takes metadata of another server, and says what is wrong', () => {
      const file = path.join(directory, 'metadata.json');
      writeFileSync(
        file,
        JSON.stringify({
          client_id: 'imported',
          client_secret: 'its secret',
          redirect_uris: ['https://a.example'],
        }),
      );
      expect(JSON.parse(client('create', '--metadata', file).stdout)).toMatchObject({
        client_id: 'imported',
      });
      expect(client('create', '--metadata', file).stderr).toMatch(/exists/);
      expect(client('create').stderr).toMatch(/needs redirectUris/);
      expect(client('create', '--redirect-uri', 'javascript:1').stderr).toMatch(/redirectUris/);
      client('delete', 'imported');
    }, 60_000);
  });

  it.each(['\r\n', ' \n'])('keys rotate reads lines that end with %j', (end) => {
    const { status, stdout } = cliWith(`export OAUTH_SECRET = "${'a'.repeat(43)}"${end}`, 'keys', 'rotate');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^OAUTH_SECRET=a{43},[\w-]{43}$/m);
  });

  it('client says what it needs', () => {
    expect(cli('client', 'list').stderr).toMatch(/name one storage/);
    expect(cli('client', 'list', '--redis', 'redis://x', '--sqlite', 'x').stderr).toMatch(/name one storage/);
    expect(cli('client', 'list', '--sqlite', '').stderr).toMatch(/name one storage/);
    expect(cli('client', 'create', 'x', '--sqlite', ':memory:').stderr).toMatch(/--id x/);
    expect(cli('client', 'rotate-secret', 'x', '--keep-for', '', '--sqlite', ':memory:').stderr).toMatch(
      /seconds/,
    );
    expect(cli('migrate', '--sqlite', 'x').stderr).toMatch(/not --sqlite/);
    expect(cli('client', 'lst', '--sqlite', 'x').stderr).toMatch(/choose one of create, list/);
    expect(cli('client', 'delete', '--sqlite', ':memory:').stderr).toMatch(/name one client id/);
    expect(cli('client', 'list', '--sqlit', 'x').stderr).toMatch(/Unknown option/);
    const hyphen = `-${'x'.repeat(42)}`;
    expect(cli('client', 'delete', hyphen, '--sqlite', ':memory:').stderr).toBe(
      `there is no client ${hyphen}\n`,
    );
  });

  it('migrate --print prints what the adapter offers as data', () => {
    const { stdout } = cli('migrate', '--print', '--prefix', 'my_');
    for (const { sql } of pgMigrations({ prefix: 'my_' })) expect(stdout).toContain(sql);
    expect(cli('migrate', '--prefix', 'a"b', '--print')).toMatchObject({ status: 1, stdout: '' });
  });

  it.each([[[]], [['nothing']], [['init', 'x']]])('with %j says how it is used', (args) => {
    expect(cli(...args)).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringContaining('Usage') as string,
    });
  });
});
