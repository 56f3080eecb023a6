import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { browser } from '../support/browser';
import { MOUNTS } from '../support/host';
import { startProcess } from '../support/process';

/** A Node that the suite runs on: `NEWER_NODE`, or the one that runs this test. */
const node = process.env.NEWER_NODE ?? process.execPath;
const suite = path.join(
  path.dirname(require.resolve('@modelcontextprotocol/conformance/package.json')),
  'dist/index.js',
);

interface Check {
  id: string;
  status: string;
  errorMessage?: string;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Signs in where the suite asks a person to, and allows the client. */
async function signIn(url: string, origin: string): Promise<void> {
  const { visit } = browser(origin);
  let page = await visit(url);
  if (page.url.includes('/login')) page = await visit(page.url, { name: 'alice' });
  const [, action] = /action="([^"]+)"/.exec(page.text)!;
  const [, sealed] = /name="request" value="([^"]+)"/.exec(page.text)!;
  await visit(action!, { request: sealed!, decision: 'allow' });
}

/** Runs the scenarios of authorization servers. Returns all checks. */
async function run(issuer: string, origin: string, clientId: string, port: number): Promise<Check[]> {
  const results = mkdtempSync(path.join(tmpdir(), 'mcp-conformance-'));
  const child = spawn(
    node,
    [
      suite,
      'authorization',
      '--url',
      issuer,
      '--client-id',
      clientId,
      '--resource',
      `${origin}/mcp`,
      '--port',
      String(port),
      '-o',
      results,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let printed = '';
  let isVisited = false;
  child.stdout.on('data', (data: Buffer) => {
    printed += data.toString();
    const [, url] = /^(http\S+\/authorize\?\S+)$/m.exec(printed) ?? [];
    if (url === undefined || isVisited) return;
    isVisited = true;
    void signIn(url, origin);
  });
  const code = await new Promise((resolve) => child.once('exit', resolve));
  const files = readdirSync(results, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('checks.json'));
  const checks = files.flatMap(
    (name) => JSON.parse(readFileSync(path.join(results, name), 'utf8')) as Check[],
  );
  expect([code, isVisited]).toEqual([0, true]);
  return checks;
}

describe.each(MOUNTS)('the MCP project’s scenarios for authorization servers, at the $mount', ({ mount }) => {
  it('pass without a warning', async () => {
    const prefix = mount === 'root' ? '' : '/oauth';
    const server = await startProcess(
      'mcp-server-process.ts',
      `test:${randomBytes(6).toString('hex')}:`,
      prefix,
    );
    try {
      const origin = server.origin.replace('127.0.0.1', 'localhost');
      const port = await freePort();
      const response = await fetch(`${origin}${prefix}/register`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({
          redirect_uris: [`http://127.0.0.1:${port}/callback`],
          token_endpoint_auth_method: 'none',
        }),
      });
      const { client_id: clientId } = (await response.json()) as { client_id: string };
      const checks = await run(`${origin}${prefix}`, origin, clientId, port);
      expect(checks.map(({ id }) => id)).toEqual(
        expect.arrayContaining([
          'authorization-server-metadata',
          'authorization-server-metadata-cimd',
          'authorization-code-grant',
        ]),
      );
      expect(checks.filter(({ status }) => status !== 'SUCCESS')).toEqual([]);
    } finally {
      await server.kill();
    }
  });
});
