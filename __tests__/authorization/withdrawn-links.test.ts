import request from 'supertest';

import type { Form } from '../support/host';
import {
  agentOf,
  answerLinkPage,
  callback,
  CLIENTS,
  federatedHost,
  leave,
  providersOf,
  signIn,
  signInUpstream,
  startUpstreams,
  type Agent,
  type FederatedHost,
  type Upstreams,
} from '../support/federation';
import { answerOf, getTokens, post, STORES, type Tokens } from '../support/host';

/** A permission to link an account ends with the token and the grant that it came from. */
describe.each(STORES)('a link whose permission was withdrawn, on $store', (variant) => {
  let upstreams: Upstreams;
  let host: FederatedHost;
  let tokens: Tokens;
  let exists: boolean;
  beforeAll(async () => {
    upstreams = await startUpstreams();
  });
  afterAll(() => upstreams.stop());
  beforeEach(async () => {
    exists = true;
    host = federatedHost(variant, providersOf(upstreams), {
      clients: [CLIENTS.web, CLIENTS.machine],
      loadUser: (id) => (exists ? { id, name: 'Bob \u202eBrown', email: 'bob@example.com' } : undefined),
    });
    host.user = { id: 'bob' };
    tokens = await getTokens(host);
  });

  async function ticket(): Promise<string> {
    const response = await request(host.app)
      .post(`${host.base}/link_tickets`)
      .set('Authorization', `Bearer ${tokens.access_token}`);
    return (response.body as { ticket: string }).ticket;
  }
  async function depart(more: Form = {}): Promise<{ agent: Agent; location: string }> {
    const agent = agentOf(host);
    const left = await leave(host, agent, { more: { type: 'link', token: await ticket(), ...more } });
    return { agent, location: left.headers.location! };
  }

  const WITHDRAWALS: [string, () => unknown][] = [
    ['the host revokes the grants', () => host.oauth.revokeGrants({ userId: 'bob' })],
    [
      'the client revokes the access token',
      () => post(host, '/revoke', 'web', { token: tokens.access_token }),
    ],
    [
      'the client revokes the refresh token',
      () => post(host, '/revoke', 'web', { token: tokens.refresh_token }),
    ],
    ['the user is suspended', () => (exists = false)],
  ];

  it.each(WITHDRAWALS)('%s: the ticket is worth nothing', async (_what, withdraw) => {
    const held = await ticket();
    await withdraw();
    const answer = answerOf(await leave(host, agentOf(host), { more: { type: 'link', token: held } }));
    expect(answer).toMatchObject({ error: 'login_required', state: 'xyz' });
  });

  it.each(WITHDRAWALS)('%s while the browser is away: nothing is linked', async (_what, withdraw) => {
    const { agent, location } = await depart();
    const back = await signInUpstream(host, location);
    await withdraw();
    expect(answerOf(await callback(agent, back))).toMatchObject({ error: 'login_required', state: 'xyz' });
    expect(host.resolved).toHaveLength(0);
    expect(await host.oauth.listGrants('alice')).toHaveLength(0);
  });

  it.each(WITHDRAWALS)(
    '%s while a page is open: nothing is linked, and no code issued',
    async (_what, withdraw) => {
      host.user = undefined;
      const { agent, location } = await depart();
      const page = await callback(agent, await signInUpstream(host, location));
      await withdraw();
      expect(answerOf(await answerLinkPage(agent, page))).toMatchObject({ error: 'login_required' });
      expect(host.resolved).toHaveLength(0);
    },
  );

  it('the grants are revoked while the consent page is open: no code', async () => {
    const { agent, location } = await depart({ prompt: 'consent' });
    const page = await callback(agent, await signInUpstream(host, location));
    const sealed = /name="request" value="([^"]+)"/.exec(page.text)![1]!;
    await host.oauth.revokeGrants({ userId: 'bob' });
    const decided = await agent
      .post(`${host.base}/consent`)
      .type('form')
      .send({ request: sealed, decision: 'allow' });
    expect(answerOf(decided)).toMatchObject({ error: 'login_required' });
    expect(await host.oauth.listGrants('bob')).toHaveLength(0);
  });

  describe('at a host where nobody is signed in', () => {
    beforeEach(() => {
      host.user = undefined;
    });

    it('a page asks whose account it shall be, before resolveUser', async () => {
      const { agent, location } = await depart();
      const page = await callback(agent, await signInUpstream(host, location));
      expect([page.status, page.headers['cache-control']]).toEqual([200, 'no-store']);
      expect(page.headers['content-security-policy']).toContain("frame-ancestors 'none'");
      expect(page.text).toContain('Link your acme account alice@example.com to the account of Bob ?Brown?');
      // The name is the user's own choice.
      expect(page.text).toContain('Bob ?Brown · bob@example.com · id bob');
      expect(host.resolved).toHaveLength(0);
      expect(answerOf(await answerLinkPage(agent, page))).toHaveProperty('code');
      expect(host.resolved.map(({ context }) => context.currentUser)).toEqual([{ id: 'bob' }]);
      // The page is good for one answer.
      expect((await answerLinkPage(agent, page)).status).toBe(400);
      expect(host.resolved).toHaveLength(1);
    });

    it('whoever declines links nothing', async () => {
      const { agent, location } = await depart();
      const page = await callback(agent, await signInUpstream(host, location));
      const answer = answerOf(await answerLinkPage(agent, page, 'deny'));
      expect(answer).toMatchObject({ error: 'access_denied', state: 'xyz' });
      expect((await answerLinkPage(agent, page)).status).toBe(400);
      expect(host.resolved).toHaveLength(0);
    });

    it('another browser, or another site, cannot answer for it', async () => {
      const { agent, location } = await depart();
      const page = await callback(agent, await signInUpstream(host, location));
      expect((await answerLinkPage(agentOf(host), page)).status).toBe(400);
      expect(host.resolved).toHaveLength(0);
      expect(answerOf(await answerLinkPage(agent, page))).toHaveProperty('code');
    });

    it('somebody else who signs in meanwhile is refused', async () => {
      const { agent, location } = await depart();
      const page = await callback(agent, await signInUpstream(host, location));
      host.user = { id: 'mallory' };
      expect(answerOf(await answerLinkPage(agent, page))).toMatchObject({ error: 'access_denied' });
      expect(host.resolved).toHaveLength(0);
    });

    it('a form that was made up, or has no decision, is refused', async () => {
      const send = (form: object): request.Test =>
        agentOf(host).post(`${host.base}/link`).type('form').send(form);
      expect((await send({ request: 'x', decision: 'allow' })).status).toBe(400);
      const { agent, location } = await depart();
      const page = await callback(agent, await signInUpstream(host, location));
      expect((await answerLinkPage(agent, page, 'maybe')).status).toBe(400);
      expect(answerOf(await answerLinkPage(agent, page))).toHaveProperty('code');
    });
  });

  it('nobody is asked who is signed in at the host', async () => {
    const { response } = await signIn(host, { more: { type: 'link', token: await ticket() } });
    expect(answerOf(response)).toHaveProperty('code');
    expect(response.status).toBe(303);
  });
});
