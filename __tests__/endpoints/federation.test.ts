import request from 'supertest';

import {
  agentOf,
  callback,
  federatedHost,
  leave,
  pathOf,
  providersOf,
  signIn,
  signInUpstream,
  startUpstreams,
  type FederatedHost,
  type Upstreams,
} from '../support/federation';
import { answerOf, claimsOf, pkce, redeem, VARIANTS } from '../support/host';

let upstreams: Upstreams;
beforeAll(async () => {
  upstreams = await startUpstreams();
});
afterAll(() => upstreams.stop());

describe.each(VARIANTS)('signing in through a provider ($store, $mount)', (variant) => {
  let host: FederatedHost;
  beforeEach(() => {
    host = federatedHost(variant, providersOf(upstreams));
  });

  it('through OpenID Connect: a code of ours for who came back', async () => {
    const { response, verifier } = await signIn(host);
    expect(response.status).toBe(303);
    const answer = answerOf(response);
    expect(answer).toEqual({ code: expect.any(String), state: 'xyz', iss: host.issuer });
    expect(response.headers.location).toMatch(/^https:\/\/app\.example\.com\/callback\?/);
    const { body } = await redeem(host, 'web', { code: answer.code!, verifier });
    expect(claimsOf(body.access_token as string)).toMatchObject({ sub: 'acme-alice', client_id: 'web' });
    expect(body).toMatchObject({ is_new_user: true });
    expect(host.resolved).toHaveLength(1);
    expect(host.resolved[0]!.identity).toMatchObject({
      providerId: 'acme',
      issuer: upstreams.issuer,
      subject: 'alice',
      email: 'alice@example.com',
      emailVerified: true,
      name: 'Alice Upstream',
    });
  });

  it('through plain OAuth 2.0', async () => {
    const { response, verifier } = await signIn(host, { provider: 'plain' });
    const { body } = await redeem(host, 'web', { code: answerOf(response).code!, verifier });
    expect(claimsOf(body.access_token as string)).toMatchObject({ sub: 'plain-4711' });
    expect(host.resolved[0]!.identity).toMatchObject({
      subject: '4711',
      username: 'alice',
      email: 'alice@example.com',
      emailVerified: false,
      picture: 'https://x.example/a.png',
    });
  });
});
