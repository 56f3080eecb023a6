import request from 'supertest';

import {
  agentOf,
  callback,
  federatedHost,
  passUpstream,
  providersOf,
  startUpstreams,
  type Agent,
  type FederatedHost,
  type Upstreams,
} from '../support/federation';
import { answerOf, CALLBACK, pkce, VARIANTS } from '../support/host';

describe.each(VARIANTS)('consent before a provider, on $store at the $mount', (variant) => {
  let upstreams: Upstreams;
  let host: FederatedHost;
  let clientId: string;
  let agent: Agent;
  beforeAll(async () => {
    upstreams = await startUpstreams();
  });
  afterAll(() => upstreams.stop());
  beforeEach(async () => {
    host = federatedHost(variant, providersOf(upstreams), {
      registration: { open: true },
      scopes: { 'orders:read': 'See your orders', 'orders:write': 'Order things' },
      federation: { defaultProvider: 'plain' },
    });
    const { body } = await request(host.app)
      .post(`${host.base}/register`)
      .send({ client_name: 'Bridge client', redirect_uris: [CALLBACK], token_endpoint_auth_method: 'none' });
    clientId = body.client_id as string;
    agent = agentOf(host);
  });

  const pair = pkce();
  const start = (by: Agent, more: Record<string, string> = {}): request.Test => {
    const form = {
      response_type: 'code',
      client_id: clientId,
      redirect_uri: CALLBACK,
      code_challenge: pair.challenge,
      code_challenge_method: 'S256',
      scope: 'orders:read',
      state: 'xyz',
      ...more,
    };
    return by
      .get(`${host.base}/authorize?${new URLSearchParams(form).toString()}`)
      .set('Accept', 'text/html');
  };
  const sealedOf = ({ text }: request.Response): string => /name="request" value="([^"]+)"/.exec(text)![1]!;
  const decide = (by: Agent, sealed: string, decision = 'allow'): request.Test =>
    by.post(`${host.base}/consent`).type('form').send({ request: sealed, decision });
  const isAtProvider = ({ headers }: request.Response): boolean =>
    headers.location?.startsWith(upstreams.oauth2.origin) ?? false;

  it('nothing goes to the provider before the user has allowed the client, and nobody is asked twice', async () => {
    const shown = await start(agent);
    expect(shown.status).toBe(200);
    expect(shown.text).toContain('You will sign in on the next page.');
    expect(shown.text).toContain('<bdi>Bridge client</bdi>');
    const left = await decide(agent, sealedOf(shown));
    expect(isAtProvider(left)).toBe(true);
    const response = await callback(agent, await passUpstream(left.headers.location!));
    const { code, state } = answerOf(response);
    expect([typeof code, state]).toEqual(['string', 'xyz']);
    const { body } = await request(host.app).post(`${host.base}/token`).type('form').send({
      grant_type: 'authorization_code',
      client_id: clientId,
      code,
      code_verifier: pair.verifier,
      redirect_uri: CALLBACK,
    });
    expect(body).toMatchObject({ scope: 'orders:read' });
    expect(host.events).toContainEqual({
      name: 'consent.given',
      event: expect.objectContaining({
        clientId,
        userId: expect.stringMatching(/^plain-/),
        scope: 'orders:read',
      }),
    });
  });

  it('the next request is asked about again, although the provider knows the user', async () => {
    const left = await decide(agent, sealedOf(await start(agent)));
    await callback(agent, await passUpstream(left.headers.location!));
    expect((await start(agent)).status).toBe(200);
  });

  it('a form from the attacker’s browser does not count in the victim’s', async () => {
    const mallory = agentOf(host);
    const sealed = sealedOf(await start(mallory));
    const posted = await decide(agent, sealed);
    expect([posted.status, isAtProvider(posted)]).toEqual([200, false]);
    expect(posted.text).toContain('Allow access to your account?');
    // The page that came instead is the victim's own.
    expect(isAtProvider(await decide(agent, sealedOf(posted)))).toBe(true);
  });

  it('what comes back in another browser does not count', async () => {
    const mallory = agentOf(host);
    const left = await decide(mallory, sealedOf(await start(mallory)));
    const back = await passUpstream(left.headers.location!);
    const answered = await callback(agent, back);
    expect(answered.headers.location).toBeUndefined();
    expect(answered.status).toBe(400);
  });

  it('denied: the client learns it, and the provider nothing', async () => {
    const denied = await decide(agent, sealedOf(await start(agent)), 'deny');
    expect(answerOf(denied)).toMatchObject({ error: 'access_denied', state: 'xyz' });
    expect(denied.headers.location).toMatch(/^https:\/\/app\.example\.com\//);
  });

  it('errors before that are shown, not redirected', async () => {
    const faults: Record<string, string>[] = [{ scope: 'unknown' }, { prompt: 'none' }];
    for (const fault of faults) {
      const { headers, status } = await start(agent, fault);
      expect(headers.location).toBeUndefined();
      expect(status).toBeGreaterThanOrEqual(400);
    }
  });

  it('a client of the host goes to the provider at once, as does one that names it', async () => {
    const own = { client_id: 'web' };
    expect(isAtProvider(await start(agent, own))).toBe(true);
    expect(isAtProvider(await start(agent, { ...own, connection: 'plain' }))).toBe(true);
    expect((await start(agent, { connection: 'plain' })).status).toBe(200);
    const form = new URLSearchParams({
      ...own,
      response_type: 'code',
      redirect_uri: CALLBACK,
      scope: 'orders:read',
      code_challenge: pair.challenge,
      code_challenge_method: 'S256',
    });
    const pushed = await request(host.app)
      .post(`${host.base}/par`)
      .type('form')
      .auth('web', 'web-secret')
      .send(form.toString());
    const visited = await agent.get(
      `${host.base}/authorize?client_id=web&request_uri=${encodeURIComponent(pushed.body.request_uri as string)}`,
    );
    expect(isAtProvider(visited)).toBe(true);
  });

  it('the default provider must exist', () => {
    const federation = { defaultProvider: 'gone' } as never;
    expect(() => federatedHost(variant, providersOf(upstreams), { federation })).toThrow(
      /"federation.defaultProvider" is not among "federation.providers"/,
    );
  });
});
