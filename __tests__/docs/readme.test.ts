import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { keyPair } from '../support/keys';
import { root, snippetsOf } from '../support/snippets';

/** The packages of the snippet are found from here. */
const directory = path.join(root, '.readme');

/** The host around the lines of the README. */
const HOST = `
import express from 'express';
import session from 'express-session';
declare module 'express-session' {
  interface SessionData { user: { id: string } }
}
const app = express();
app.use(session({ secret: 'x', resave: false, saveUninitialized: false }));
const ordersOf = (user: string | undefined): (string | undefined)[] => [user];
`;
const LOGIN = `
app.get('/login', (req, res) => {
  SNIPPET
});
`;
const PROOF = `
const server = app.listen(0, '127.0.0.1', async () => {
  const { port } = server.address() as { port: number };
  const at = (path: string) => fetch('http://127.0.0.1:' + port + path, { redirect: 'manual' });
  const metadata = await at('/.well-known/oauth-authorization-server/oauth');
  const orders = await at('/orders');
  const login = await at('/login?return_to=https://evil.example');
  const query = 'client_id=web&response_type=code&code_challenge=' + 'a'.repeat(43) + '&code_challenge_method=S256';
  const authorize = await at('/oauth/authorize?' + query);
  console.log(JSON.stringify([((await metadata.json()) as { issuer: string }).issuer, orders.status, login.headers.get('location'), authorize.headers.get('location')?.slice(0, 18)]));
  process.exit(0);
});
`;

describe('the lines of the README', () => {
  const [lines = '', login = ''] = snippetsOf('README.md');
  const [imports = '', rest = ''] = lines.split(/\n\n([^]*)/);
  const file = path.join(directory, 'host.ts');

  beforeAll(() => {
    mkdirSync(directory, { recursive: true });
    writeFileSync(file, imports + HOST + rest + LOGIN.replace('SNIPPET', login) + PROOF);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('are fifteen or so', () => {
    expect(rest.split('\n').filter((line) => line.trim() !== '').length).toBeLessThanOrEqual(15);
  });

  it('work when they are pasted', () => {
    const env = {
      ...process.env,
      OAUTH_SECRET: 'x'.repeat(32),
      OAUTH_SIGNING_KEY: String(keyPair().privateKey.export({ type: 'pkcs8', format: 'pem' })),
    };
    const output = execFileSync(process.execPath, ['--import', 'tsx', file], {
      cwd: root,
      env,
      encoding: 'utf8',
    });
    expect(JSON.parse(output)).toEqual(['https://api.example.com/oauth', 401, '/', '/login?return_to=%']);
  });
});
