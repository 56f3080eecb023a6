import { pkce } from './host';
import { clientKey, dpopProof } from './jose';
import { startProcess, type ServerProcess } from './process';

interface Answer {
  status: number;
  body: { refresh_token: string; access_token: string };
}

/**
 * Defines races between two processes that share nothing but a store. `place` is called when the tests run: it returns where the store is,
 * as `host-process.ts` takes it.
 */
export function testDoubleSpending(store: string, place: () => Promise<string> | string): void {
  describe.each([30, 0])(`two processes on one store of ${store}, with a leeway of %s s`, (leeway) => {
    let processes: ServerProcess[] = [];

    beforeAll(async () => {
      const own = await place();
      processes = await Promise.all(
        [1, 2].map(() => startProcess('host-process.ts', store, own, String(leeway))),
      );
    });

    afterAll(() => Promise.all(processes.map(({ kill }) => kill())));

    async function token(
      position: number,
      form: Record<string, string>,
      headers: Record<string, string> = {},
    ): Promise<Answer> {
      const response = await fetch(`${processes[position % 2]!.origin}/token`, {
        method: 'POST',
        headers: { Authorization: `Basic ${Buffer.from('web:web-secret').toString('base64')}`, ...headers },
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
      const response = await fetch(
        `${processes[0]!.origin}/authorize?${new URLSearchParams(query).toString()}`,
        {
          redirect: 'manual',
        },
      );
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

    it('a DPoP proof that was used in one is refused in the other, fifty times at once too', async () => {
      const key = await clientKey();
      const url = 'http://localhost:3000/token';
      const DPoP = await dpopProof(key, { url, now: Date.now() });
      const { body } = await token(0, await code(), { DPoP });
      const refresh = { grant_type: 'refresh_token', refresh_token: body.refresh_token };
      expect(await token(1, refresh, { DPoP })).toMatchObject({
        status: 400,
        body: { error: 'invalid_dpop_proof' },
      });
      const fresh = { DPoP: await dpopProof(key, { url, now: Date.now() }) };
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, position) => token(position, refresh, fresh)),
      );
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    });
  });
}
