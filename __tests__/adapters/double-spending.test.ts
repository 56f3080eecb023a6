import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import path from 'node:path';

import { pkce } from '../support/host';

interface Answer {
  status: number;
  body: { refresh_token: string; access_token: string };
}

/** Two processes that share nothing but Redis. */
describe.each([30, 0])('two processes on one Redis, with a leeway of %s s', (leeway) => {
  const processes: ChildProcess[] = [];
  let origins: string[];

  beforeAll(async () => {
    const prefix = `double:${randomBytes(6).toString('hex')}:`;
    const script = path.join(__dirname, '../support/host-process.ts');
    origins = await Promise.all(
      [1, 2].map(async () => {
        const child = spawn(process.execPath, ['--import', 'tsx', script, prefix, String(leeway)], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        processes.push(child);
        const port = await new Promise<string>((resolve, reject) => {
          child.stdout.once('data', (data: Buffer) => resolve(data.toString().trim()));
          child.once('exit', () => reject(new Error('the host ended')));
        });
        return `http://127.0.0.1:${port}`;
      }),
    );
  });

  afterAll(() => {
    for (const child of processes) child.kill('SIGKILL');
  });

  async function token(position: number, form: Record<string, string>): Promise<Answer> {
    const response = await fetch(`${origins[position % 2]!}/token`, {
      method: 'POST',
      headers: { Authorization: `Basic ${Buffer.from('web:web-secret').toString('base64')}` },
      body: new URLSearchParams(form),
    });
    return { status: response.status, body: (await response.json()) as Answer['body'] };
  }

  async function code(): Promise<Record<string, string>> {
    const { verifier, challenge } = pkce();
    const query = {
      response_type: 'code',
      client_id: 'web',
      code_challenge: challenge,
      code_challenge_method: 'S256',
    };
    const response = await fetch(`${origins[0]!}/authorize?${new URLSearchParams(query).toString()}`, {
      redirect: 'manual',
    });
    const issued = new URL(response.headers.get('location')!).searchParams.get('code')!;
    return { grant_type: 'authorization_code', code: issued, code_verifier: verifier };
  }

  const fifty = (form: Record<string, string>): Promise<Answer[]> =>
    Promise.all(Array.from({ length: 50 }, (_, position) => token(position, form)));

  it('fifty parallel redemptions of one code: one success, and it can refresh', async () => {
    for (const _ of [1, 2, 3]) {
      const answers = await fifty(await code());
      const winners = answers.filter(({ status }) => status === 200);
      expect(winners).toHaveLength(1);
      expect(answers.filter(({ status }) => status === 400)).toHaveLength(49);
      const next = await token(1, {
        grant_type: 'refresh_token',
        refresh_token: winners[0]!.body.refresh_token,
      });
      expect(next.status).toBe(200);
    }
  });

  it(
    leeway > 0
      ? 'fifty parallel refreshes: one and the same refresh token'
      : 'fifty parallel refreshes: one success, and the grant is dead',
    async () => {
      const first = await token(0, await code());
      const answers = await fifty({ grant_type: 'refresh_token', refresh_token: first.body.refresh_token });
      const winners = answers.filter(({ status }) => status === 200);
      expect(winners).toHaveLength(leeway > 0 ? 50 : 1);
      expect(new Set(winners.map(({ body }) => body.refresh_token)).size).toBe(1);
      const next = await token(1, {
        grant_type: 'refresh_token',
        refresh_token: winners[0]!.body.refresh_token,
      });
      expect(next.status).toBe(leeway > 0 ? 200 : 400);
    },
  );
});
