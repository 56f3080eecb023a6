import request from 'supertest';

import { makeHost, VARIANTS } from '../support/host';

describe.each(VARIANTS)('rateLimit on $store at the $mount', (variant) => {
  const asked: string[] = [];
  let wait: unknown;
  const host = makeHost(variant, {
    rateLimit: (_req, { endpoint }) => {
      asked.push(endpoint);
      return wait as number;
    },
    endSession: () => undefined,
  });
  beforeEach(() => {
    asked.length = 0;
    wait = undefined;
  });

  it.each(['token', 'revoke', 'introspect', 'par', 'userinfo', 'authorize', 'consent', 'logout'])(
    '%s is limited before anything else',
    async (name) => {
      wait = 7.2;
      const response = await request(host.app)
        .post(`${host.base}/${name}`)
        .set('Accept', 'application/json')
        .type('text')
        .send('nonsense');
      expect([response.status, response.headers['retry-after'], response.body.error]).toEqual([
        429,
        '8',
        'too_many_requests',
      ]);
      expect(asked).toEqual([name]);
    },
  );

  it('lets pass what need not wait', async () => {
    const { status } = await request(host.app)
      .post(`${host.base}/token`)
      .type('form')
      .auth('machine', 'machine-secret')
      .send({ grant_type: 'client_credentials' });
    expect(status).toBe(200);
  });

  it.each(['5', true, Number.NaN, -1, Infinity])('%p is no answer', async (answer) => {
    wait = answer;
    const { status, body } = await request(host.app).post(`${host.base}/token`).type('form').send({});
    expect([status, body.error]).toEqual([500, 'server_error']);
  });
});
