import { createHash } from 'node:crypto';

import { OAuthError, type Adapter, type ImportedGrant } from 'express-oauth-router';

import {
  claimsOf,
  CLIENTS,
  isActive,
  makeHost,
  ORDERS,
  post,
  refresh,
  STORES,
  type Host,
  type HostOptions,
  type Tokens,
} from '../support/host';
import { clientKey, dpopProof } from '../support/jose';

const OLD = 'the-refresh-token-of-another-server';
interface Answer {
  status: number;
  body: unknown;
}
const digest = (token: string): string => createHash('sha256').update(token).digest('hex');

/** `refreshTokens.import` (RFC 6749 §6 for tokens that another server has issued). */
describe.each(STORES)('refresh tokens of another server on $store', (variant) => {
  let old: Map<string, Omit<ImportedGrant, 'id' | 'issuedAt'> & { issuedAt?: number }>;
  let asked: number;
  let host: Host;

  const stored = (token: string): ImportedGrant | undefined => {
    const found = old.get(digest(token));
    return found && { id: digest(token), issuedAt: 0, ...found };
  };

  function open({ refreshTokens, ...more }: HostOptions = {}): Host {
    return makeHost(variant, {
      refreshTokens: {
        import: (token) => {
          asked++;
          return stored(token);
        },
        ...refreshTokens,
      },
      ...more,
    });
  }

  beforeEach(() => {
    asked = 0;
    old = new Map([[digest(OLD), { clientId: 'web', user: { id: 'alice' }, scope: 'profile' }]]);
    host = open();
  });

  const bodyOf = (response: Answer): Tokens => {
    expect(response.status).toBe(200);
    return response.body as Tokens;
  };
  const fifty = (token: string): Promise<Answer[]> =>
    Promise.all(Array.from({ length: 50 }, async () => refresh(host, 'web', token)));

  it('the first use is answered with a token of this server, which goes on', async () => {
    const first = bodyOf(await refresh(host, 'web', OLD));
    expect(claimsOf(first.access_token)).toMatchObject({ sub: 'alice', client_id: 'web', scope: 'profile' });
    expect(first.refresh_token).not.toBe(OLD);
    expect(host.eventNames()).toContain('refresh_token.imported');
    const second = bodyOf(await refresh(host, 'web', first.refresh_token));
    expect(await isActive(host, second.access_token)).toBe(true);
    // Once more when the grant is there: the host may have ended it meanwhile.
    expect(asked).toBe(2);
    expect(await host.oauth.listGrants('alice')).toMatchObject([{ clientId: 'web', scope: ['profile'] }]);
  });

  it('fifty at once get one and the same successor', async () => {
    const answers = await fifty(OLD);
    const tokens = new Set(answers.map((answer) => bodyOf(answer).refresh_token));
    expect(tokens.size).toBe(1);
    expect(await host.oauth.listGrants('alice')).toHaveLength(1);
    bodyOf(await refresh(host, 'web', [...tokens][0]!));
  });

  it('fifty at once without a leeway: one success', async () => {
    host = open({ refreshTokens: { leeway: 0 } });
    expect((await fifty(OLD)).filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('a client that got no answer repeats it, and gets the same successor', async () => {
    const first = bodyOf(await refresh(host, 'web', OLD));
    const again = bodyOf(await refresh(host, 'web', OLD));
    expect(again.refresh_token).toBe(first.refresh_token);
  });

  it('a store that fails at any write loses nothing', async () => {
    const { adapter } = host;
    for (const name of ['get', 'saveGrant', 'put', 'advanceGrant'] as const) {
      for (const isDone of [false, true]) {
        const token = `${OLD}-${name}-${isDone}`;
        old.set(digest(token), { clientId: 'web', user: { id: 'bob' }, scope: 'profile' });
        let failures = name === 'advanceGrant' ? 2 : 1;
        const failing = open({
          adapter: {
            ...adapter,
            [name]: async (...args: unknown[]) => {
              const run = adapter[name] as (...args: unknown[]) => unknown;
              if (failures-- <= 0) return run(...args);
              if (isDone) await run(...args);
              throw new Error('the connection was lost');
            },
          },
        });
        const { status } = await refresh(failing, 'web', token);
        expect([200, 503]).toContain(status);
        const repeated = bodyOf(await refresh(host, 'web', token));
        bodyOf(await refresh(host, 'web', repeated.refresh_token));
      }
    }
    expect(await host.oauth.listGrants('bob')).toHaveLength(8);
  });

  it('after the leeway it is reuse, and ends the grant (RFC 9700 §4.14.2)', async () => {
    const first = bodyOf(await refresh(host, 'web', OLD));
    host.pass(31);
    expect((await refresh(host, 'web', OLD)).body.error).toBe('invalid_grant');
    expect(host.eventNames()).toContain('refresh_token.reused');
    expect((await refresh(host, 'web', first.refresh_token)).status).toBe(400);
  });

  it('never begins again when its grant has ended, however it ended', async () => {
    const first = bodyOf(await refresh(host, 'web', OLD));
    await host.oauth.revokeGrants({ userId: 'alice' });
    expect((await refresh(host, 'web', OLD)).body.error).toBe('invalid_grant');
    expect(await isActive(host, first.access_token)).toBe(false);

    const other = `${OLD}-2`;
    old.set(digest(other), { clientId: 'web', user: { id: 'carol' }, scope: 'profile' });
    const { refresh_token: token } = bodyOf(await refresh(host, 'web', other));
    await post(host, '/revoke', 'web', { token });
    expect((await refresh(host, 'web', other)).status).toBe(400);
    expect(await host.oauth.listGrants('carol')).toEqual([]);
  });

  it('can be revoked before it is used, by its client only (RFC 7009 §2.1)', async () => {
    expect((await post(host, '/revoke', 'third', { token: OLD })).status).toBe(200);
    expect((await post(host, '/revoke', 'web', { token: 'anything' })).status).toBe(200);
    bodyOf(await refresh(host, 'web', OLD));

    const other = `${OLD}-3`;
    old.set(digest(other), { clientId: 'web', user: { id: 'dora' }, scope: 'profile' });
    expect((await post(host, '/revoke', 'web', { token: other })).status).toBe(200);
    expect((await refresh(host, 'web', other)).body.error).toBe('invalid_grant');
  });

  it('ends its grant when it is revoked after it was used', async () => {
    const first = bodyOf(await refresh(host, 'web', OLD));
    expect((await post(host, '/revoke', 'web', { token: OLD })).status).toBe(200);
    expect((await refresh(host, 'web', first.refresh_token)).status).toBe(400);
    expect((await refresh(host, 'web', OLD)).status).toBe(400);
  });

  it('is of one client: another one gets nothing, and ends nothing', async () => {
    expect((await refresh(host, 'post', OLD)).body.error).toBe('invalid_grant');
    expect((await refresh(host, 'third', OLD)).body.error).toBe('invalid_grant');
    expect((await refresh(host, 'spa', OLD)).body.error).toBe('invalid_grant');
    const first = bodyOf(await refresh(host, 'web', OLD));
    expect((await refresh(host, 'third', OLD)).body.error).toBe('invalid_grant');
    bodyOf(await refresh(host, 'web', first.refresh_token));
  });

  it('a token that nobody knows, and one with a wrong signature of ours, are refused', async () => {
    expect((await refresh(host, 'web', 'unknown')).body.error).toBe('invalid_grant');
    const { refresh_token: token } = bodyOf(await refresh(host, 'web', OLD));
    const forged = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`;
    expect((await refresh(host, 'web', forged)).body.error).toBe('invalid_grant');
    const plain = makeHost(variant, { adapter: host.adapter });
    expect((await refresh(plain, 'web', `${OLD}-4`)).body.error).toBe('invalid_grant');
  });

  it('stands for the first token of a client whose refresh tokens are kept', async () => {
    old.set(digest(`${OLD}-5`), { clientId: 'steady', user: { id: 'alice' }, scope: 'profile' });
    const first = bodyOf(await refresh(host, 'steady', `${OLD}-5`));
    const second = bodyOf(await refresh(host, 'steady', first.refresh_token));
    expect(second.refresh_token).toBe(first.refresh_token);
    host.pass(60);
    expect(bodyOf(await refresh(host, 'steady', `${OLD}-5`)).refresh_token).toBe(first.refresh_token);
    await host.oauth.revokeGrants({ userId: 'alice' });
    expect((await refresh(host, 'steady', `${OLD}-5`)).status).toBe(400);
  });

  it('has the scope that was granted, as far as the client may still have it, and no more', async () => {
    const cases: [scope: string | string[], expected: string | undefined][] = [
      ['profile', 'profile'],
      [['profile', 'orders:read'], 'profile orders:read'],
      ['profile gone', 'profile'],
      ['', ''],
      [[], ''],
      ['gone', undefined],
    ];
    for (const [position, [scope, expected]] of cases.entries()) {
      const token = `${OLD}-scope-${position}`;
      old.set(digest(token), { clientId: 'web', user: { id: 'alice' }, scope });
      const response = await refresh(host, 'web', token);
      if (expected === undefined) expect(response.body.error).toBe('invalid_grant');
      else expect(claimsOf(bodyOf(response).access_token).scope ?? '').toBe(expected);
    }
  });

  it('is for its own audience: the request chooses none', async () => {
    const wrong = await refresh(host, 'web', OLD, { resource: ORDERS });
    expect(wrong.body.error).toBe('invalid_target');
    const { access_token: token } = bodyOf(await refresh(host, 'web', OLD));
    expect(claimsOf(token).aud).toBe(host.issuer);
    old.set(digest(`${OLD}-7`), {
      clientId: 'web',
      user: { id: 'alice' },
      scope: 'orders:read',
      resource: ORDERS,
    });
    expect(claimsOf(bodyOf(await refresh(host, 'web', `${OLD}-7`)).access_token).aud).toBe(ORDERS);
  });

  it('is replaced once, however it is written: a database may ignore case, and a JWT has spare bits', async () => {
    const lax = open({
      refreshTokens: {
        import: (token) => ({
          id: OLD,
          issuedAt: 0,
          clientId: 'web',
          user: { id: 'alice' },
          scope: token.toLowerCase() === OLD ? 'profile' : '',
        }),
      },
    });
    const first = bodyOf(await refresh(lax, 'web', OLD));
    expect(bodyOf(await refresh(lax, 'web', OLD.toUpperCase())).refresh_token).toBe(first.refresh_token);
    expect(await lax.oauth.listGrants('alice')).toHaveLength(1);
    lax.pass(60);
    expect((await refresh(lax, 'web', OLD.toUpperCase())).body.error).toBe('invalid_grant');
    expect((await refresh(lax, 'web', first.refresh_token)).status).toBe(400);
  });

  it('is voided by a later grantsNotBefore of the client, before its use and after', async () => {
    const seconds = Math.floor(host.now / 1000);
    const voided = (grantsNotBefore: number): Host => {
      const clients = [{ ...CLIENTS.web, grantsNotBefore }];
      return open({ adapter: host.adapter, clients });
    };
    const issued = (issuedAt: number): void => {
      old.set(digest(OLD), { clientId: 'web', user: { id: 'alice' }, scope: 'profile', issuedAt });
    };
    issued(seconds - 100);
    expect((await refresh(voided(seconds - 50), 'web', OLD)).body.error).toBe('invalid_grant');
    issued(0);
    expect((await refresh(voided(seconds - 50), 'web', OLD)).body.error).toBe('invalid_grant');
    issued(seconds - 100);
    const { refresh_token: token } = bodyOf(await refresh(voided(seconds - 150), 'web', OLD));
    expect((await refresh(voided(seconds - 50), 'web', token)).status).toBe(400);
    bodyOf(await refresh(voided(seconds - 150), 'web', token));
  });

  it('an outage before the answer loses nothing, however long it is', async () => {
    const { adapter } = host;
    const failing = open({ adapter: { ...adapter, put: () => Promise.reject(new Error('down')) } });
    expect((await refresh(failing, 'web', OLD)).status).toBe(503);
    host.pass(3600);
    const { refresh_token: token } = bodyOf(await refresh(host, 'web', OLD));
    bodyOf(await refresh(host, 'web', token));
  });

  describe('a first use that is slow', () => {
    /** Returns its answer, or nothing if it was over before. Runs `meanwhile` when a first use has come to its nth call of the store or of the host. */
    async function slow(position: number, meanwhile: () => Promise<void>): Promise<Answer | undefined> {
      let calls = 0;
      const paused = async (run: () => unknown): Promise<unknown> => {
        if (calls++ === position) await meanwhile();
        return run();
      };
      const adapter = Object.fromEntries(
        Object.entries(host.adapter).map(([name, run]) => [
          name,
          async (...args: never[]) =>
            paused(() => (run as (...args: never[]) => unknown).apply(host.adapter, args)),
        ]),
      ) as unknown as Host['adapter'];
      const other = open({
        adapter,
        refreshTokens: {
          import: async (token) => paused(() => stored(token)) as Promise<ImportedGrant | undefined>,
        },
      });
      const answer = await refresh(other, 'web', OLD);
      return calls > position ? answer : undefined;
    }

    it('gets the same successor as a parallel one, whichever is the first', async () => {
      const parallel: Tokens[] = [];
      const meanwhile = async (): Promise<void> => {
        parallel.push(bodyOf(await refresh(host, 'web', OLD)));
      };
      let position = 0;
      let answer = await slow(position, meanwhile);
      while (answer) {
        const successor = parallel[position]?.refresh_token;
        expect([position, bodyOf(answer).refresh_token]).toEqual([position, successor]);
        host = open();
        answer = await slow(++position, meanwhile);
      }
      expect(position).toBeGreaterThan(5);
    });

    it('and is overtaken twice gets nothing, and ends nothing', async () => {
      const { adapter } = host;
      let latest = '';
      const overtaken = open({
        adapter: {
          ...adapter,
          advanceGrant: async (...args) => {
            const first = bodyOf(await refresh(host, 'web', OLD));
            latest = bodyOf(await refresh(host, 'web', first.refresh_token)).refresh_token;
            return adapter.advanceGrant(...args);
          },
        },
      });
      expect((await refresh(overtaken, 'web', OLD)).status).toBe(400);
      bodyOf(await refresh(host, 'web', latest));
    });

    it.each([
      [
        'that was used and ended',
        async () => {
          await refresh(host, 'web', OLD);
          await host.oauth.revokeGrants({ userId: 'alice' });
        },
      ],
      [
        'that was used and revoked by its client',
        async () => {
          const { refresh_token: token } = bodyOf(await refresh(host, 'web', OLD));
          await post(host, '/revoke', 'web', { token });
        },
      ],
      [
        'whose old token was revoked',
        async () => {
          expect((await post(host, '/revoke', 'web', { token: OLD })).status).toBe(200);
        },
      ],
    ])('does not begin a grant again %s', async (_, meanwhile) => {
      let position = 0;
      while (await slow(position, meanwhile)) {
        expect([position, (await refresh(host, 'web', OLD)).body.error]).toEqual([position, 'invalid_grant']);
        expect([position, await host.oauth.listGrants('alice')]).toEqual([position, []]);
        host = open();
        position++;
      }
      expect(position).toBeGreaterThan(5);
    });
  });

  it('two that are slow do not overwrite that it was revoked', async () => {
    const paused = (name: 'get' | 'getGrant', position: number) => {
      let release = (): void => undefined;
      const gate = new Promise<void>((resolve) => (release = resolve));
      let reached = (): void => undefined;
      const isReached = new Promise<void>((resolve) => (reached = resolve));
      let calls = 0;
      const run = host.adapter[name] as (key: string) => Promise<never>;
      const waiting = async (key: string): Promise<never> => {
        if (calls++ === position) {
          reached();
          await gate;
        }
        return run(key);
      };
      const adapter = { ...host.adapter, [name]: waiting };
      return { answer: refresh(open({ adapter }), 'web', OLD), isReached, release };
    };
    // Both have seen neither a mark nor a grant of it.
    const [one, other] = [paused('getGrant', 0), paused('getGrant', 0)];
    const answers = Promise.all([one.answer, other.answer]);
    await Promise.all([one.isReached, other.isReached]);
    expect((await post(host, '/revoke', 'web', { token: OLD })).status).toBe(200);
    one.release();
    other.release();
    // 503 if one found the id taken, and no grant any more.
    for (const { status } of await answers) expect([400, 503]).toContain(status);
    expect((await refresh(host, 'web', OLD)).status).toBe(400);
    expect(await host.oauth.listGrants('alice')).toEqual([]);
  });

  it('a grant that appears after its mark was looked for, and was revoked, is not revived', async () => {
    const { adapter } = host;
    let isFirst = true;
    const slow = open({
      adapter: {
        ...adapter,
        getGrant: async (id) => {
          if (isFirst) {
            isFirst = false;
            await host.adapter.put(`imported-refresh-token:${id}:ended`, '1', 1000);
            // A third request inserts it all the same, and has not looked at the mark yet.
            const late = open({ adapter: { ...adapter, get: () => Promise.reject(new Error('lost')) } });
            await refresh(late, 'web', OLD);
            const stray = open({
              adapter: {
                ...adapter,
                get: (): Promise<undefined> => Promise.resolve(undefined),
                put: () => Promise.reject(new Error('lost')),
              },
            });
            expect((await refresh(stray, 'web', OLD)).status).toBe(503);
          }
          return adapter.getGrant(id);
        },
      },
    });
    expect((await refresh(slow, 'web', OLD)).status).toBe(400);
    expect((await refresh(host, 'web', OLD)).status).toBe(400);
  });

  it('an insertion that lands after the end revives nothing: no refresh token, no access token', async () => {
    const { adapter } = host;
    let land: (() => unknown) | undefined;
    const stalled = open({
      adapter: {
        ...adapter,
        saveGrant: (grant) => {
          land = () => adapter.saveGrant(grant);
          return Promise.reject(new Error('no answer in time'));
        },
      },
    });
    expect((await refresh(stalled, 'web', OLD)).status).toBe(503);
    const first = bodyOf(await refresh(host, 'web', OLD));
    expect((await post(host, '/revoke', 'web', { token: first.refresh_token })).status).toBe(200);
    await land!();
    expect(await isActive(host, first.access_token)).toBe(false);
    expect((await refresh(host, 'web', first.refresh_token)).status).toBe(400);
    expect((await refresh(host, 'web', OLD)).status).toBe(400);
    expect(await host.oauth.listGrants('alice')).toEqual([]);
  });

  it('an insertion that the driver sends twice begins nothing again', async () => {
    const { adapter } = host;
    const inserted: (() => unknown)[] = [];
    const resending = open({
      adapter: {
        ...adapter,
        saveGrant: (grant) => {
          inserted.push(() => adapter.saveGrant(grant));
          return adapter.saveGrant(grant);
        },
      },
    });
    bodyOf(await refresh(resending, 'web', OLD));
    await host.oauth.revokeGrants({ userId: 'alice' });
    await inserted[0]!();
    expect((await refresh(host, 'web', OLD)).status).toBe(400);
    expect(await host.oauth.listGrants('alice')).toEqual([]);
  });

  it('an outage of the old database is 503, and the events do not repeat the token', async () => {
    const failing = open({
      refreshTokens: {
        import: (token) => {
          throw new Error(`select * from tokens where token = '${token}' - Connection terminated`);
        },
      },
    });
    expect((await refresh(failing, 'web', OLD)).status).toBe(503);
    expect((await post(failing, '/revoke', 'web', { token: OLD })).status).toBe(503);
    expect(failing.eventNames()).toContain('server.failed');
    const causes = failing.events.map(({ event }) => String((event.cause as Error | undefined)?.message));
    expect(causes.join()).not.toContain(OLD);
  });

  it('a request without an answer binds nothing: an app may come back with another key', async () => {
    old.set(digest(OLD), { clientId: 'spa', user: { id: 'alice' }, scope: 'profile' });
    const { adapter } = host;
    const failing = open({ adapter: { ...adapter, advanceGrant: () => Promise.reject(new Error('down')) } });
    const [first, second] = [await clientKey(), await clientKey()];
    const nonced = async (at: Host, key: typeof first): Promise<{ status: number; body: unknown }> => {
      const url = `${at.issuer}/token`;
      const asking = await refresh(at, 'spa', OLD).set('DPoP', await dpopProof(key, { url, now: at.now }));
      const nonce = asking.headers['dpop-nonce'];
      return refresh(at, 'spa', OLD).set('DPoP', await dpopProof(key, { url, now: at.now, nonce }));
    };
    expect((await nonced(failing, first)).status).toBe(503);
    bodyOf(await nonced(host, second));
    expect((await nonced(host, first)).status).toBe(400);
  });

  /** Runs something once, before a call of the store. */
  const before = (name: keyof Adapter, run: () => Promise<unknown>): Adapter => {
    let isDone = false;
    const call = host.adapter[name] as (...args: unknown[]) => Promise<unknown>;
    return {
      ...host.adapter,
      [name]: async (...args: unknown[]) => {
        if (!isDone) {
          isDone = true;
          await run();
        }
        return call(...args);
      },
    };
  };

  it('of two first uses at once, one key gets tokens', async () => {
    old.set(digest(OLD), { clientId: 'spa', user: { id: 'alice' }, scope: 'profile' });
    const [winner, loser] = [await clientKey(), await clientKey()];
    const url = `${host.issuer}/token`;
    const asking = await refresh(host, 'spa', OLD).set(
      'DPoP',
      await dpopProof(winner, { url, now: host.now }),
    );
    const nonce = asking.headers['dpop-nonce'];
    const use = async (at: Host, key: typeof winner): Promise<Answer> =>
      refresh(at, 'spa', OLD).set('DPoP', await dpopProof(key, { url, now: at.now, nonce }));
    const slow = open({ adapter: before('advanceGrant', async () => bodyOf(await use(host, winner))) });
    expect((await use(slow, loser)).status).toBe(400);
    const unbound = `${OLD}-unbound`;
    old.set(digest(unbound), { clientId: 'spa', user: { id: 'bob' }, scope: 'profile' });
    const first = open({
      adapter: before('advanceGrant', async () => {
        const proof = await dpopProof(winner, { url, now: host.now, nonce });
        bodyOf(await refresh(host, 'spa', unbound).set('DPoP', proof));
      }),
    });
    expect((await refresh(first, 'spa', unbound)).status).toBe(400);
  });

  it.each([
    [{}, 200],
    [{ jkt: null }, 200],
    [{ jkt: undefined, 'x5t#S256': undefined }, 200],
    [{ jkt: '' }, 500],
    [{ jkt: 5 }, 500],
    [{ thumbprint: 'abc' }, 500],
    [{ jkt: 'of another key' }, 400],
  ])('the confirmation %j of the old server is answered with %d', async (confirmation, status) => {
    old.set(digest(OLD), {
      clientId: 'spa',
      user: { id: 'alice' },
      scope: 'profile',
      confirmation: confirmation as never,
    });
    const key = await clientKey();
    const url = `${host.issuer}/token`;
    const { headers } = await refresh(host, 'spa', OLD).set(
      'DPoP',
      await dpopProof(key, { url, now: host.now }),
    );
    const proof = async (): Promise<string> =>
      dpopProof(key, { url, now: host.now, nonce: headers['dpop-nonce'] });
    const response = await refresh(host, 'spa', OLD).set('DPoP', await proof());
    expect(response.status).toBe(status);
    if (status !== 200) return;
    // Bound by the first answer.
    const { refresh_token: token } = bodyOf(response);
    expect((await refresh(host, 'spa', token)).status).toBe(400);
  });

  it('a user who is signed out while the grant begins stays so', async () => {
    const slow = open({
      adapter: before('getGrant', async () => {
        old.delete(digest(OLD));
        await host.oauth.revokeGrants({ userId: 'alice' });
      }),
    });
    expect((await refresh(slow, 'web', OLD)).status).toBe(400);
    expect(await host.oauth.listGrants('alice')).toEqual([]);
  });

  it('writes that land after the end, an insertion and an advance, give nobody anything', async () => {
    const { adapter } = host;
    const late: (() => unknown)[] = [];
    const stalled = open({
      adapter: {
        ...adapter,
        advanceGrant: (...args) => {
          late.push(() => adapter.advanceGrant(...args));
          return Promise.reject(new Error('no answer in time'));
        },
        saveGrant: async (grant) => {
          late.push(() => adapter.saveGrant(grant));
          await adapter.saveGrant(grant);
        },
      },
    });
    expect((await refresh(stalled, 'web', OLD)).status).toBe(503);
    const first = bodyOf(await refresh(host, 'web', OLD));
    await host.oauth.revokeGrants({ userId: 'alice' });
    for (const land of late) await land();
    expect(await isActive(host, first.access_token)).toBe(false);
    expect(await isActive(host, first.refresh_token)).toBe(false);
    expect((await refresh(host, 'web', first.refresh_token)).status).toBe(400);
    expect((await refresh(host, 'web', OLD)).status).toBe(400);
    expect(await host.oauth.listGrants('alice')).toEqual([]);
  });

  it('a store that only deletes still ends a grant', async () => {
    const { access_token: token } = bodyOf(await refresh(host, 'web', OLD));
    const full = open({ adapter: { ...host.adapter, put: () => Promise.reject(new Error('OOM')) } });
    await expect(full.oauth.revokeGrants({ userId: 'alice' })).rejects.toThrow();
    expect(await isActive(host, token)).toBe(false);
  });

  it('an attempt without an answer starts no clock and fixes nothing', async () => {
    const idleLifetime = 600;
    const failing = open({
      adapter: { ...host.adapter, advanceGrant: () => Promise.reject(new Error('down')) },
      refreshTokens: { idleLifetime },
    });
    old.set(digest(OLD), { clientId: 'web', user: { id: 'alice' }, scope: 'profile orders:read' });
    expect((await refresh(failing, 'web', OLD)).status).toBe(503);
    expect(await host.oauth.listGrants('alice')).toEqual([]);
    old.set(digest(OLD), { clientId: 'web', user: { id: 'alice' }, scope: 'profile' });
    const later = open({ adapter: host.adapter, refreshTokens: { idleLifetime } });
    later.now = host.now + 1_300_000;
    const first = bodyOf(await refresh(later, 'web', OLD));
    expect(claimsOf(first.access_token).scope).toBe('profile');
    // From here on the clock runs.
    later.now += 700_000;
    expect((await refresh(later, 'web', first.refresh_token)).status).toBe(400);
  });

  it('an id that another user or client has already is refused, and ends nothing', async () => {
    const clash = (clientId: string, id: string): Host =>
      open({
        adapter: host.adapter,
        refreshTokens: {
          import: () => ({ id: digest(OLD), clientId, user: { id }, scope: 'profile', issuedAt: 0 }),
        },
      });
    const first = bodyOf(await refresh(host, 'web', OLD));
    expect((await refresh(clash('web', 'mallory'), 'web', 'another')).status).toBe(400);
    expect((await refresh(clash('third', 'alice'), 'third', 'another')).status).toBe(400);
    expect((await post(clash('third', 'alice'), '/revoke', 'third', { token: 'another' })).status).toBe(400);
    bodyOf(await refresh(host, 'web', first.refresh_token));
  });

  it('nobody is asked without an authenticated client, or about what cannot be a token', async () => {
    const unauthenticated = await post(host, '/token', undefined, {
      grant_type: 'refresh_token',
      refresh_token: OLD,
      client_id: 'web',
      client_secret: 'wrong',
    });
    expect(unauthenticated.status).toBe(401);
    for (const token of ['é'.repeat(20), 'x'.repeat(5000)]) {
      expect((await refresh(host, 'web', token)).status).toBe(400);
      expect((await post(host, '/revoke', 'web', { token })).status).toBeLessThan(401);
    }
    expect(asked).toBe(0);
  });

  it('another secret does not make it another grant', async () => {
    bodyOf(await refresh(host, 'web', OLD));
    const changed = open({
      adapter: host.adapter,
      secrets: ['another secret of more than 32 bytes, for tests'],
    });
    host.pass(60);
    changed.now = host.now;
    expect((await refresh(changed, 'web', OLD)).status).toBe(400);
    expect(await changed.oauth.listGrants('alice')).toEqual([]);
  });

  it('is unknown to /introspect, and begins anew under another issuer', async () => {
    bodyOf(await refresh(host, 'web', OLD));
    expect(await isActive(host, OLD)).toBe(false);
    const moved = open({ adapter: host.adapter, issuer: `http://localhost:3001${host.base}` });
    bodyOf(await refresh(moved, 'web', OLD));
    expect(await host.oauth.listGrants('alice')).toHaveLength(2);
  });

  it('a user who is gone is refused, and nothing is spent', async () => {
    let isThere = false;
    const checking = open({ loadUser: (id) => (isThere ? { id } : undefined) });
    expect((await refresh(checking, 'web', OLD)).body.error).toBe('invalid_grant');
    isThere = true;
    bodyOf(await refresh(checking, 'web', OLD));
  });

  it('a hook that fails, or gives something else, is an error that spends nothing', async () => {
    const good = { id: OLD, clientId: 'web', user: { id: 'alice' }, scope: 'profile', issuedAt: 0 };
    const results: (() => unknown)[] = [
      () => {
        throw new Error('down');
      },
      () => 'alice',
      ...[
        { id: undefined },
        { id: '' },
        { clientId: undefined },
        { user: undefined },
        { user: 'alice' },
        { user: {} },
        { scope: undefined },
        { scope: null },
        { scope: 'of another client' },
        { scope: Promise.reject(new Error('late')) },
        { resource: [] },
        { resource: 'https://unknown.example.com' },
        { issuedAt: undefined },
        { issuedAt: '2020' },
        { issuedAt: 1.7e12 },
        { confirmation: 'a key' },
      ].map((wrong) => () => ({ ...good, ...wrong })),
    ];
    for (const result of results) {
      const failing = open({ adapter: host.adapter, refreshTokens: { import: result as never } });
      const { status } = await refresh(failing, 'web', OLD);
      expect([400, 500, 503]).toContain(status);
    }
    const throwing = open({
      adapter: host.adapter,
      refreshTokens: {
        import: () => {
          throw new OAuthError('temporarily_unavailable', 'The old database is away');
        },
      },
    });
    expect((await refresh(throwing, 'web', OLD)).status).toBe(503);
    bodyOf(await refresh(host, 'web', OLD));
  });

  it('a public client with DPoP binds what it gets to its key (RFC 9449 §5)', async () => {
    old.set(digest(`${OLD}-6`), { clientId: 'spa', user: { id: 'alice' }, scope: 'profile' });
    const key = await clientKey();
    const url = `${host.issuer}/token`;
    const { headers } = await refresh(host, 'spa', `${OLD}-6`).set(
      'DPoP',
      await dpopProof(key, { url, now: host.now }),
    );
    const nonce = headers['dpop-nonce'];
    const proof = async (): Promise<string> => dpopProof(key, { url, now: host.now, nonce });
    const first = bodyOf(await refresh(host, 'spa', `${OLD}-6`).set('DPoP', await proof()));
    expect((await refresh(host, 'spa', first.refresh_token)).status).toBe(400);
    bodyOf(await refresh(host, 'spa', first.refresh_token).set('DPoP', await proof()));
  });

  it('is not in the store', async () => {
    const written: string[] = [];
    const { adapter } = host;
    const watching = open({
      adapter: Object.fromEntries(
        Object.entries(adapter).map(([name, run]) => [
          name,
          (...args: never[]) => {
            written.push(JSON.stringify(args));
            return (run as (...args: never[]) => unknown)(...args);
          },
        ]),
      ) as unknown as Host['adapter'],
    });
    bodyOf(await refresh(watching, 'web', OLD));
    expect(written.length).toBeGreaterThan(3);
    expect(written.join()).not.toContain(OLD);
    expect(JSON.stringify(watching.events)).not.toContain(OLD);
  });
});
