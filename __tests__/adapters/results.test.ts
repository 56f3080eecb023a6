import type { Adapter, Consent } from 'express-oauth-router';

import type { GrantMember } from '../../lib/adapters/results';
import type { Grant } from '../../lib/grants/grant';
import {
  answerOf,
  authorizationForm,
  authorize,
  getTokens,
  getCode,
  isActive,
  makeHost,
  pkce,
  redeem,
  refresh,
  type Host,
} from '../support/host';

const MEMORY = { store: 'memory', mount: 'root' } as const;
type Changed = Partial<Record<keyof Adapter, (...args: never[]) => unknown>>;

/** Creates a host whose adapter answers as a careless one would. */
function careless(change: (adapter: Adapter) => Changed): Host {
  const { adapter } = makeHost(MEMORY);
  return makeHost(MEMORY, { adapter: { ...adapter, ...(change(adapter) as Partial<Adapter>) } });
}

/** What an adapter returns is checked in one place: nothing that was not stored decides about a request. */
describe('results of an adapter', () => {
  const given: Consent = {
    userId: 'alice',
    clientId: 'third',
    scope: ['profile', 'orders:read'],
    resources: ['http://localhost:3000'],
    grantedAt: Date.now(),
  };

  async function silently(consent: unknown): Promise<Record<string, string>> {
    const host = careless(() => ({ getConsent: () => Promise.resolve(consent) }));
    return answerOf(await authorize(host, authorizationForm('third', pkce(), { prompt: 'none' })));
  }

  it('a consent as it was stored is remembered', async () => {
    expect(await silently(given)).toHaveProperty('code');
    expect(await silently(undefined)).toMatchObject({ error: 'consent_required' });
    expect(await silently(null)).toMatchObject({ error: 'consent_required' });
  });

  it.each<[string, unknown]>([
    ['of another user', { ...given, userId: 'Alice' }],
    ['of another client', { ...given, clientId: 'web' }],
    ['whose scope is a text, which contains the other values', { ...given, scope: 'profile orders:read' }],
    ['whose scope contains something else', { ...given, scope: ['profile', 'orders:read', 1] }],
    ['whose resources are a text', { ...given, resources: 'http://localhost:3000/' }],
    ['without a moment', { ...given, grantedAt: undefined }],
    ['that is a text', JSON.stringify(given)],
    ['that is a list', [given]],
  ])('a consent %s is refused', async (_what, consent) => {
    expect(await silently(consent)).toMatchObject({ error: 'server_error' });
  });

  it.each<[string, (adapter: Adapter) => Changed]>([
    ['setOnce, a row', () => ({ setOnce: () => ({ affectedRows: 0 }) })],
    ['setOnce, a number', () => ({ setOnce: () => 1 })],
    ['setOnce, a text', () => ({ setOnce: () => 'OK' })],
    ['setOnce, nothing', () => ({ setOnce: () => undefined })],
  ])('%s: a proof is not accepted', async (_what, change) => {
    const host = careless(change);
    host.user = { id: 'alice', authTime: Math.floor(host.now / 1000) };
    const form = authorizationForm('web', pkce(), { prompt: 'login' });
    host.user = undefined;
    const toLogin = await authorize(host, form);
    host.user = { id: 'alice', authTime: Math.floor(host.now / 1000) };
    const answer = answerOf(await authorize(host, answerOf(toLogin).return_to!.split('?')[1]!));
    expect(answer).toMatchObject({ error: 'server_error' });
  });

  it.each<[string, (adapter: Adapter) => Changed]>([
    ['get, an object', () => ({ get: () => ({ value: '1' }) })],
    ['get, a number', () => ({ get: () => 1 })],
  ])('%s: a token is not active', async (_what, change) => {
    const host = careless(change);
    const { access_token: token } = await getTokens(host);
    await expect(isActive(host, token)).resolves.not.toBe(true);
  });

  it('advanceGrant that does not say yes or no: the record is read', async () => {
    const host = careless(({ advanceGrant }) => ({
      advanceGrant: async (...args: Parameters<Adapter['advanceGrant']>) =>
        (await advanceGrant(...args)) ? 1 : 0,
    }));
    const tokens = await getTokens(host);
    expect((await refresh(host, 'web', tokens.refresh_token)).status).toBe(200);
    expect(host.events.some(({ name }) => name === 'server.failed')).toBe(false);
  });

  it('a grant with null for what is missing is the grant that was stored', async () => {
    const host = careless(({ getGrant }) => ({
      getGrant: async (id: string) => {
        const grant = await getGrant(id);
        return grant && { confirmation: null, nonce: null, sid: null, federation: null, ...grant };
      },
    }));
    const tokens = await getTokens(host);
    expect((await refresh(host, 'web', tokens.refresh_token)).status).toBe(200);
  });

  it('the next record has its members in one order, whatever the order of the stored one', async () => {
    const orders = new Set<string>();
    const host = careless(({ getGrant, advanceGrant }) => ({
      getGrant: async (id: string) => {
        const grant = await getGrant(id);
        return grant && Object.fromEntries(Object.entries(grant).reverse());
      },
      advanceGrant: (...args: Parameters<Adapter['advanceGrant']>) => {
        orders.add(Object.keys(args[2]).join());
        return advanceGrant(...args);
      },
    }));
    const tokens = await getTokens(host);
    expect((await refresh(host, 'web', tokens.refresh_token)).status).toBe(200);
    expect((await refresh(host, 'spa', (await getTokens(host, 'spa')).refresh_token)).status).toBe(200);
    expect(orders.size).toBe(1);
  });

  it('no member of a grant is missing in the list that makes the order', () => {
    // A member that is missing fails to compile.
    const isComplete: [Exclude<keyof Grant, GrantMember>] extends [never] ? true : never = true;
    expect(isComplete).toBe(true);
  });

  it('userId: null is no user', async () => {
    const host = careless(({ getGrant }) => ({
      getGrant: async (id: string) => {
        const grant = await getGrant(id);
        return grant && { ...grant, userId: null };
      },
    }));
    // This host creates no users for codes without one.
    const { status, body } = await redeem(host, 'web', await getCode(host));
    expect([status, body]).toMatchObject([400, { error: 'invalid_grant' }]);
    expect(host.events.at(-1)!.event.reason).toBe('without a user');
  });

  it('a refresh token whose grant has lost its user does not become a token of the client', async () => {
    let isLost = false;
    const host = careless(({ getGrant }) => ({
      getGrant: async (id: string) => {
        const grant = await getGrant(id);
        return grant && isLost ? { ...grant, userId: null } : grant;
      },
    }));
    const tokens = await getTokens(host);
    isLost = true;
    const { status, body } = await refresh(host, 'web', tokens.refresh_token);
    expect([status, body]).toMatchObject([400, { error: 'invalid_grant' }]);
  });

  it('a list that is none is an error, and grants of another user are not listed or ended', async () => {
    const broken = careless(() => ({ listGrants: () => ({ rows: [] }) }));
    await expect(broken.oauth.listGrants('alice')).rejects.toMatchObject({ code: 'server_error' });
    const host = careless(({ listGrants }) => ({
      listGrants: async () => [...(await listGrants!('alice')), null, 'x', { id: 1, userId: 'bob' }],
    }));
    await getTokens(host);
    expect(await host.oauth.listGrants('bob')).toEqual([]);
    expect(await host.oauth.revokeGrants({ userId: 'bob' })).toBe(0);
    expect(await host.oauth.listGrants('alice')).toHaveLength(1);
  });
});
