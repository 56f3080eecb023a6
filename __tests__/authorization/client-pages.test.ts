import request from 'supertest';

import type { ClientOptions } from 'express-oauth-router';

import {
  agentOf,
  callback,
  federatedHost,
  leave,
  providersOf,
  signIn,
  startUpstreams,
  type FederatedHost,
  type Upstreams,
} from '../support/federation';
import { answerOf, authorizationForm, CLIENTS, pkce, redeem, VARIANTS } from '../support/host';
import { SIGNING_KEYS, verified } from '../support/openid';

const LANDING = 'https://app.example.com/landing';
const APP_LANDING = 'com.example.app:/landing';
const CLIENTS_HERE: ClientOptions[] = [
  { ...CLIENTS.spa, landingUris: [LANDING, APP_LANDING], jsonRedirects: true },
  { ...CLIENTS.web, authorizationResponseIss: false },
];

let upstreams: Upstreams;
beforeAll(async () => {
  upstreams = await startUpstreams();
});
afterAll(() => upstreams.stop());

describe.each(VARIANTS)('pages of a client, and what it is told ($store, $mount)', (variant) => {
  let host: FederatedHost;
  beforeEach(() => {
    host = federatedHost(variant, providersOf(upstreams), {
      signingKeys: SIGNING_KEYS,
      clients: CLIENTS_HERE,
      jsonRedirectParameter: 'answer_mode',
    });
  });
  const goTo = (path: string): request.Test =>
    request(host.app).get(`${host.base}${path}`).set('Accept', 'application/json');
  const authorizePath = (client: 'spa' | 'web', more: Record<string, string> = {}): string =>
    `/authorize?${new URLSearchParams(authorizationForm(client, pkce(), more)).toString()}`;
  const denied = (location: string): string => {
    const state = new URL(location).searchParams.get('state')!;
    return `${host.base}/callback/acme?${new URLSearchParams({ error: 'access_denied', state, iss: upstreams.issuer }).toString()}`;
  };

  it('landing pages get the browser, and never a code', async () => {
    const more = { error_redirect_uri: LANDING, after_callback_redirect_url: LANDING };
    const { response, verifier } = await signIn(host, { client: 'spa', more });
    expect(response.headers.location).toMatch('https://spa.example.com/cb?');
    const { body } = await redeem(host, 'spa', { code: answerOf(response).code!, verifier });
    expect(body).toMatchObject({ after_callback_redirect_url: LANDING });

    const agent = agentOf(host);
    const left = await leave(host, agent, { client: 'spa', more });
    const told = await callback(agent, denied(left.headers.location!));
    expect(told.headers.location).toMatch(`${LANDING}?`);
    expect(answerOf(told)).toMatchObject({ error: 'access_denied', state: 'xyz' });

    for (const refused of [
      await leave(host, agentOf(host), { client: 'spa', more: { redirect_uri: LANDING } }),
      await goTo(authorizePath('spa', { redirect_uri: LANDING })),
      await leave(host, agentOf(host), { client: 'web', more: { error_redirect_uri: LANDING } }),
    ])
      expect([refused.status, refused.headers.location]).toEqual([400, undefined]);
  });

  it('a landing page of an app is gone to, although the request wanted a message', async () => {
    const agent = agentOf(host);
    const more = { error_redirect_uri: APP_LANDING, response_mode: 'web_message' };
    const left = await leave(host, agent, { client: 'spa', more });
    const told = await callback(agent, denied(left.headers.location!));
    expect([told.status, told.headers.location]).toEqual([303, expect.stringMatching(`^${APP_LANDING}\\?`)]);
  });

  it('a script gets the next URL of this server, and no answer about the user', async () => {
    const response = await goTo(authorizePath('spa', { answer_mode: 'json' }));
    expect([response.status, response.headers['access-control-allow-origin']]).toEqual([200, '*']);
    const { location } = response.body as { location: string };
    expect(location).toMatch(`${host.issuer}/authorize`);
    expect(response.headers['set-cookie']).toBeUndefined();
    // Whoever goes there is asked as always, and bound to the browser that went.
    host.user = { id: 'alice' };
    const path = location.slice(host.issuer.length);
    expect(answerOf(await goTo(path))).toMatchObject({ code: expect.any(String) as string, state: 'xyz' });

    // With a user too, the response says nothing of them.
    const signedIn = await goTo(authorizePath('spa', { answer_mode: 'json' }));
    expect([signedIn.status, signedIn.text]).toEqual([200, expect.not.stringContaining('code=')]);
    const faulty = await goTo(authorizePath('spa', { answer_mode: 'json', scope: 'admin' }));
    expect([faulty.status, faulty.body]).toEqual([
      400,
      expect.objectContaining({ error: 'invalid_scope' }) as object,
    ]);
  });

  it('a client that is not registered for it is redirected', async () => {
    const response = await goTo(authorizePath('web', { answer_mode: 'json' }));
    expect([response.status, response.headers['access-control-allow-origin']]).toEqual([302, undefined]);
  });

  it('no iss for a client that is told none, except in a signed response, which needs it (JARM §2.1)', async () => {
    host.user = { id: 'alice' };
    expect(answerOf(await goTo(authorizePath('web')))).toEqual({ code: expect.any(String), state: 'xyz' });
    const { response } = answerOf(await goTo(authorizePath('web', { response_mode: 'jwt' })));
    expect((await verified(host, response!, 'web')).payload).toMatchObject({ iss: host.issuer });
  });
});
