import request from 'supertest';

import { CALLBACK, makeHost, post, type Host, type HostOptions } from '../support/host';

const VARIANT = { store: 'memory', mount: 'root' } as const;
const SECRET_OF_CLIENT = 'the-secret-that-a-client-sent';

/** As a query builder puts the values of a statement into its message. */
function repeating(value: string): never {
  throw new Error(`select * from t where value = '${value}' - Connection terminated`, {
    cause: new Error(`bind "${value}"`),
  });
}

/** What the operator sees of a host's function that failed. */
describe('a secret that a host’s function was given', () => {
  const cases: [string, HostOptions, (host: Host) => request.Test][] = [
    [
      'verifyClientSecret',
      {
        clients: [
          { clientId: 'foreign', clientSecretHash: '$2b$10$abcdefgh', grantTypes: ['client_credentials'] },
        ],
        verifyClientSecret: (clientSecret) => repeating(clientSecret),
      },
      (host) =>
        post(host, '/token', undefined, {
          grant_type: 'client_credentials',
          client_id: 'foreign',
          client_secret: SECRET_OF_CLIENT,
        }),
    ],
    [
      'registration.initialAccessToken',
      { registration: { initialAccessToken: (token) => repeating(token) } },
      (host) =>
        request(host.app)
          .post('/register')
          .set('Authorization', `Bearer ${SECRET_OF_CLIENT}`)
          .send({ redirect_uris: [CALLBACK] }),
    ],
    [
      'grants',
      {
        clients: [{ clientId: 'device', grantTypes: ['urn:example:device'] }],
        grants: { 'urn:example:device': ({ parameters }) => repeating(parameters.device_code!) },
      },
      (host) =>
        post(host, '/token', undefined, {
          grant_type: 'urn:example:device',
          client_id: 'device',
          device_code: SECRET_OF_CLIENT,
        }),
    ],
  ];

  it.each(cases)(
    'is not in the events when %s fails with a message that repeats it',
    async (_, options, send) => {
      const host = makeHost(VARIANT, options);
      expect((await send(host)).status).toBe(500);
      expect(host.eventNames()).toContain('server.failed');
      const causes = host.events.map(({ event }) => event.cause as Error | undefined);
      const shown = causes.flatMap((cause) => [cause?.message, cause?.stack, String(cause?.cause)]);
      expect(shown.join('\n')).not.toContain(SECRET_OF_CLIENT);
      expect(shown.join('\n')).toContain('is left out');
    },
  );
});
