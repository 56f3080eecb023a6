import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { keyPair } from './support/keys';

const root = path.join(__dirname, '..');
const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
/** Where the packages of the snippet are found. */
const directory = path.join(root, '.readme');

/** The host around the lines of the README. */
const HOST = `
import session from 'express-session';
declare module 'express-session' {
  interface SessionData { user: { id: string } }
}
const app = express();
app.use(session({ secret: 'x', resave: false, saveUninitialized: false }));
const ordersOf = (user: string): string[] => [user];
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

/** What the compiler says of a file. */
function faultsOf(file: string): string {
  const config = {
    extends: path.join(root, 'tsconfig.json'),
    compilerOptions: { types: ['node'], noUnusedLocals: false },
    files: [file],
    include: [],
  };
  writeFileSync(path.join(directory, 'tsconfig.json'), JSON.stringify(config));
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  const { stdout } = spawnSync(process.execPath, [tsc, '-p', directory], { encoding: 'utf8' });
  return stdout;
}

describe('the lines of the README', () => {
  const [lines = '', login = ''] = [...readme.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code);
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

  it('type-check in strict TypeScript', () => {
    expect(faultsOf(file)).toBe('');
  });

  it('those of docs/providers.md type-check, too', () => {
    const docs = readFileSync(path.join(root, 'docs/providers.md'), 'utf8');
    const [, snippet = ''] = /```ts\n([^]*?)```/.exec(docs) ?? [];
    const around = `
import { accountLinking, createOAuthRouter, oauth2Provider, oidcProvider, providerPresets, type ProviderIdentity } from 'express-oauth-router';
interface User { id: string; email: string; emailVerified: boolean }
declare const db: {
  users: {
    findByIdentity(provider: string, issuer: string | undefined, subject: string): Promise<User | undefined>;
    findByEmail(email: string): Promise<User | undefined>;
    create(identity: ProviderIdentity): Promise<User>;
  };
  identities: { create(userId: string, identity: ProviderIdentity): Promise<void> };
};
`;
    const given = "issuer: 'http://localhost:3000', authenticate: () => undefined, loginUrl: '/login',";
    const page = path.join(directory, 'providers.ts');
    writeFileSync(page, around + snippet.replace('// ...', given));
    expect(faultsOf(page)).toBe('');
  });

  it('work when they are pasted', () => {
    const { privateKey } = keyPair();
    const env = {
      ...process.env,
      OAUTH_SECRET: 'x'.repeat(32),
      OAUTH_SIGNING_KEY: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    };
    const output = execFileSync(process.execPath, ['--import', 'tsx', file], {
      cwd: root,
      env,
      encoding: 'utf8',
    });
    expect(JSON.parse(output)).toEqual(['https://api.example.com/oauth', 401, '/', '/login?return_to=%']);
  });

  it('name every option', () => {
    const options = readFileSync(path.join(root, 'lib/options.ts'), 'utf8');
    const names = [
      ...options.split('export interface ResolvedOptions')[0]!.matchAll(/^ {2}(\w+)\??: /gm),
    ].map(([, name]) => name!);
    expect(names.length).toBeGreaterThan(20);
    for (const name of names) expect(readme).toContain(`\`${name}`);
  });
});
