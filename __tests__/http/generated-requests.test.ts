import http from 'node:http';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import express from 'express';
import fc from 'fast-check';

import { oauth2Provider } from 'express-oauth-router';

import {
  CALLBACK,
  CLIENTS,
  getCode,
  getTokens,
  listen,
  makeHost,
  ORDERS,
  SECRET,
  SPA_CALLBACK,
  type Host,
} from '../support/host';
import { assertion, clientKey, dpopProof } from '../support/jose';

/** How many requests are made: 20,000 here, and as many as you like by hand. */
const REQUESTS = Number(process.env.GENERATED_REQUESTS ?? 20_000);
/** How many are under way at once. */
const AT_ONCE = 20;

const PATHS = [
  '/authorize',
  '/authorize/acme',
  '/callback/acme',
  '/consent',
  '/par',
  '/token',
  '/userinfo',
  '/logout',
  '/revoke',
  '/introspect',
  '/link',
  '/link_tickets',
  '/jwks',
  '/register',
  '/register/web',
  '/.well-known/oauth-authorization-server',
  '/.well-known/openid-configuration',
  '/api',
];
const NAMES = (
  'client_id client_secret redirect_uri response_type response_mode scope state nonce code code_verifier code_challenge ' +
  'code_challenge_method grant_type refresh_token token token_type_hint resource audience prompt max_age login_hint ui_locales acr_values ' +
  'claims request request_uri id_token_hint post_logout_redirect_uri client_assertion client_assertion_type dpop_jkt decision resume ' +
  'error error_description type after_callback_redirect_url error_redirect_uri provider_scope return_to __proto__ constructor'
).split(' ');
const HEADERS = [
  'authorization',
  'dpop',
  'cookie',
  'content-type',
  'origin',
  'accept',
  'if-none-match',
  'forwarded',
];

/** After this many requests, every cache and every function has been used. */
const WARM_UP = 5000;
/** What the garbage collector leaves differs by a megabyte. Bytes. */
const TOLERANCE = 4e6;

/** The bytes in use after garbage collection. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

/** Half a surrogate pair has no encoding. */
const wellFormed = (text: string): string => Buffer.from(text).toString();

interface Generated {
  method: string;
  path: string;
  query: [string, string][];
  headers: [string, string][];
  body: { type: string; text: string } | undefined;
}

/** Requests that nobody has thought of: valid values in wrong places, bent values, and noise. */
describe('generated requests', () => {
  let host: Host;
  let port: number;
  let close: () => Promise<void>;
  let values: string[];
  const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const failures: unknown[] = [];
  const onFailure = (thrown: unknown): number => failures.push(thrown);

  beforeAll(async () => {
    host = makeHost(
      { store: 'memory', mount: 'root' },
      {
        registration: { open: true },
        metadataDocuments: { allow: () => false },
        endSession: () => undefined,
        grants: { 'urn:example:device': () => ({ user: { id: 'alice' } }) },
        federation: {
          providers: {
            acme: oauth2Provider({
              authorizationEndpoint: 'http://127.0.0.1:9/authorize',
              tokenEndpoint: 'http://127.0.0.1:9/token',
              userinfo: 'http://127.0.0.1:9/userinfo',
              clientId: 'us',
              clientSecret: 'upstream-secret',
              claims: { subject: 'id' },
            }),
          },
          resolveUser: () => ({ id: 'alice' }),
          linkScope: 'profile',
          linkWithAccessTokens: true,
        },
        protect: (app, oauth) => {
          app.all('/api', oauth.requireToken(), (req, res) => void res.json({ of: req.oauth.subject }));
        },
      },
    );
    const server = await listen(express().use(host.app));
    port = Number(new URL(server.origin).port);
    close = server.close;
    const key = await clientKey();
    const [tokens, code] = [await getTokens(host), await getCode(host)];
    const url = `${host.issuer}/token`;
    values = [
      ...Object.keys(CLIENTS),
      'web-secret',
      CALLBACK,
      SPA_CALLBACK,
      ORDERS,
      host.issuer,
      tokens.access_token,
      tokens.refresh_token,
      code.code,
      code.verifier,
      await assertion(key, { clientId: 'web', issuer: host.issuer, now: host.now }),
      await dpopProof(key, { url, now: host.now }),
      `Bearer ${tokens.access_token}`,
      `DPoP ${tokens.access_token}`,
      `Basic ${btoa('web:web-secret')}`,
      ...'code S256 plain query fragment form_post jwt none login consent select_account profile openid offline_access'.split(
        ' ',
      ),
      ...'authorization_code refresh_token client_credentials urn:example:device password'.split(' '),
      'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      'https://metadata.example.com/client',
      '{"id_token":{"email":null}}',
      '{"redirect_uris":["https://a.example/cb"]}',
      'application/x-www-form-urlencoded',
      'application/json',
      'multipart/form-data; boundary=x',
    ];
    process.on('unhandledRejection', onFailure);
    process.on('uncaughtExceptionMonitor', onFailure);
  });

  afterAll(async () => {
    process.off('unhandledRejection', onFailure);
    process.off('uncaughtExceptionMonitor', onFailure);
    agent.destroy();
    await close();
  });

  function requests(): fc.Arbitrary<Generated> {
    const known = fc.constantFrom(...values);
    const bent = fc
      .tuple(known, fc.nat(), fc.string({ unit: 'binary', maxLength: 4 }))
      .map(([value, at, piece]) => {
        const position = at % (value.length + 1);
        return value.slice(0, position) + piece + value.slice(position + (at % 3));
      });
    const noise = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.string({ unit: 'grapheme', maxLength: 60 }),
      fc.webUrl({ withQueryParameters: true, withFragments: true }),
      fc.json({ maxDepth: 3 }),
      fc.base64String(),
      fc.integer().map(String),
      fc
        .tuple(fc.constantFrom('[', '{"a":', 'a.', '%', '\u0000', 'é'), fc.integer({ min: 100, max: 6000 }))
        .map(([piece, times]) => piece.repeat(times / piece.length)),
    );
    const value = fc.oneof(
      { weight: 5, arbitrary: known },
      { weight: 2, arbitrary: bent },
      { weight: 1, arbitrary: noise },
    );
    const name = fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...NAMES) },
      { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
    );
    const pairs = fc.array(fc.tuple(name, value), { maxLength: 12 });
    const encoded = (given: [string, string][]): string =>
      given.map((pair) => pair.map((text) => encodeURIComponent(wellFormed(text))).join('=')).join('&');
    const body = fc.oneof(
      fc.constant(undefined),
      pairs.map((given) => ({ type: 'application/x-www-form-urlencoded', text: encoded(given) })),
      pairs.map((given) => ({ type: 'application/json', text: JSON.stringify(Object.fromEntries(given)) })),
      fc.json({ maxDepth: 4 }).map((text) => ({ type: 'application/json', text })),
      fc.tuple(value, noise).map(([type, text]) => ({ type, text })),
    );
    return fc.record({
      method: fc.constantFrom('GET', 'POST', 'POST', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD'),
      path: fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom(...PATHS) },
        { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...PATHS), noise).map((parts) => parts.join('/')) },
      ),
      query: pairs,
      headers: fc.array(fc.tuple(fc.constantFrom(...HEADERS), value), { maxLength: 3 }),
      body,
    });
  }

  /** Sends a request as it is: what HTTP cannot carry is encoded. */
  function send(generated: Generated): Promise<{ status: number; text: string }> {
    const { method, path, query, headers, body } = generated;
    const sendable = (text: string): string => text.replace(/[^\x20-\x7e\xa0-\xff]/g, '').slice(0, 4000);
    const given = Object.fromEntries(headers.map(([name, value]) => [name, sendable(value)]));
    const search = query.map((pair) => pair.map((text) => encodeURIComponent(wellFormed(text))).join('='));
    const target = `${encodeURI(wellFormed(path))}?${search.join('&')}`.slice(0, 8000);
    return new Promise((resolve, reject) => {
      const request = http.request(
        {
          port,
          host: '127.0.0.1',
          agent,
          method,
          path: target,
          headers: {
            ...given,
            ...(body && { 'content-type': given['content-type'] ?? sendable(body.type) }),
          },
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => (text += chunk));
          response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
          response.on('error', reject);
        },
      );
      request.on('error', (error) => {
        // The server may have closed an idle connection just before.
        if (request.reusedSocket) resolve(send(generated));
        else reject(error);
      });
      request.end(method === 'GET' || method === 'HEAD' ? undefined : body?.text);
    });
  }

  it('are answered, without an error of the server, a secret, a crash or a rise in memory', async () => {
    let answered = 0;
    let heap = Infinity;
    const batches = fc.array(requests(), { minLength: AT_ONCE, maxLength: AT_ONCE });
    await fc.assert(
      fc.asyncProperty(batches, async (batch) => {
        const answers = await Promise.all(batch.map(send));
        for (const { status, text } of answers) {
          answered++;
          expect(status).toBeGreaterThanOrEqual(200);
          expect(status).toBeLessThan(500);
          expect(text).not.toContain(SECRET);
          expect(text).not.toContain('upstream-secret');
          expect(text).not.toMatch(/\n +at /);
        }
        // The memory of the test itself stays small.
        host.events.length = 0;
        if (answered === WARM_UP) heap = heapUsed();
      }),
      { numRuns: REQUESTS / AT_ONCE, endOnFailure: false },
    );
    expect(answered).toBeGreaterThanOrEqual(REQUESTS);
    expect(failures).toEqual([]);
    expect(heapUsed()).toBeLessThan(heap + TOLERANCE);
  }, 3_600_000);
});
