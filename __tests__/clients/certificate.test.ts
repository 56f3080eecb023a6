import { createHash, X509Certificate } from 'node:crypto';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';

import { generate } from 'selfsigned';
import request from 'supertest';

import type { ClientOptions } from 'express-oauth-router';

import {
  claimsOf,
  CLIENTS,
  getCode,
  makeHost,
  ORDERS,
  post,
  redeem,
  refresh,
  type Host,
} from '../support/host';

interface Pair {
  cert: string;
  key: string;
}

const SUBJECT = [
  { name: 'countryName', value: 'GB' },
  { name: 'organizationName', value: 'Adams Ltd' },
  { name: 'commonName', value: 'machine.example.com' },
];
const ALT_NAMES = [
  { type: 2, value: 'machine.example.com' },
  { type: 6, value: 'https://machine.example.com/id' },
  { type: 7, ip: '2001:db8::1' },
  { type: 1, value: 'machine@example.com' },
];

async function pair(attributes: object[] = SUBJECT): Promise<Pair> {
  const { cert, private: key } = await generate(attributes, {
    keyType: 'ec',
    extensions: [{ name: 'subjectAltName', altNames: ALT_NAMES }] as never,
  });
  return { cert, key };
}

const jwkOf = ({ cert }: Pair): object => new X509Certificate(cert).publicKey.export({ format: 'jwk' });
const thumbprintOf = ({ cert }: Pair): string =>
  createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url');

/** As a proxy in front of the host gives the certificate: in a header that it alone can set. */
const clientCertificate = ({
  headers,
}: {
  headers: Record<string, unknown>;
}): {
  certificate: string | undefined;
  verified: boolean;
} => ({
  certificate: headers['x-client-cert'] ? decodeURIComponent(headers['x-client-cert'] as string) : undefined,
  verified: headers['x-client-verify'] === 'SUCCESS',
});

describe.each([
  { store: 'memory', mount: 'root' },
  { store: 'redis', mount: 'prefix' },
] as const)('client certificates (RFC 8705) on $store', (variant) => {
  let own: Pair;
  let other: Pair;
  let host: Host;
  beforeAll(async () => {
    [own, other] = await Promise.all([pair(), pair([{ name: 'commonName', value: 'other.example.com' }])]);
    const machine = { grantTypes: ['client_credentials'], scope: 'jobs:run' };
    const tls = (clientId: string, more: Partial<ClientOptions>): ClientOptions => ({
      clientId,
      ...machine,
      ...more,
    });
    host = makeHost(variant, {
      clientCertificate,
      clients: [
        CLIENTS.web,
        { ...CLIENTS.spa, tlsClientCertificateBoundAccessTokens: true },
        tls('dn', { tlsClientAuthSubjectDn: 'CN=machine\\2Eexample.com, O=Adams Ltd,c=GB' }),
        tls('dn-order', { tlsClientAuthSubjectDn: 'C=GB,O=Adams Ltd,CN=machine.example.com' }),
        tls('dns', { tlsClientAuthSanDns: 'machine.example.com' }),
        tls('uri', { tlsClientAuthSanUri: 'https://machine.example.com/id' }),
        tls('ip', { tlsClientAuthSanIp: '2001:db8::1' }),
        tls('email', { tlsClientAuthSanEmail: 'machine@example.com' }),
        tls('dns-other', { tlsClientAuthSanDns: 'example.com' }),
        tls('self', {
          tokenEndpointAuthMethod: 'self_signed_tls_client_auth',
          jwks: { keys: [jwkOf(own)] },
          tlsClientCertificateBoundAccessTokens: true,
          introspectionAudiences: [ORDERS],
        }),
      ],
      protect: (app, oauth) => void app.get('/api', oauth.requireToken(), (_req, res) => void res.json('ok')),
    });
  });

  const certificate = ({ cert }: Pair, verified = true): Record<string, string> => ({
    'X-Client-Cert': encodeURIComponent(cert),
    'X-Client-Verify': verified ? 'SUCCESS' : 'FAILED:self-signed',
  });
  const token = (clientId: string, headers: Record<string, string> = {}): request.Test =>
    request(host.app)
      .post(`${host.base}/token`)
      .type('form')
      .set(headers)
      .send({ grant_type: 'client_credentials', client_id: clientId });
  const refused = async (test: request.Test): Promise<unknown[]> => {
    const { status, body } = await test;
    return [status, (body as { error?: string }).error];
  };

  it.each(['dn', 'dns', 'uri', 'ip', 'email'])('tls_client_auth by %s', async (clientId) => {
    expect((await token(clientId, certificate(own))).status).toBe(200);
    expect(await refused(token(clientId, certificate(own, false)))).toEqual([401, 'invalid_client']);
    expect(await refused(token(clientId))).toEqual([401, 'invalid_client']);
  });

  it('another subject, another order, and a part of a name are refused', async () => {
    expect(await refused(token('dn', certificate(other)))).toEqual([401, 'invalid_client']);
    expect(await refused(token('dn-order', certificate(own)))).toEqual([401, 'invalid_client']);
    expect(await refused(token('dns-other', certificate(own)))).toEqual([401, 'invalid_client']);
  });

  it('self_signed_tls_client_auth by the key that is registered, whoever vouches for it', async () => {
    const { status, body } = await token('self', certificate(own, false));
    expect(status).toBe(200);
    expect(claimsOf(body.access_token as string).cnf).toEqual({ 'x5t#S256': thumbprintOf(own) });
    expect(await refused(token('self', certificate(other)))).toEqual([401, 'invalid_client']);
  });

  it('no certificate, and nonsense for one, are answered', async () => {
    expect(await refused(token('self'))).toEqual([401, 'invalid_client']);
    expect(await refused(token('self', { 'X-Client-Cert': 'nonsense' }))).toEqual([500, 'server_error']);
  });

  it('what a proxy says of the certificate must be a boolean: every text is true', async () => {
    const careless = makeHost(variant, {
      clientCertificate: ({ headers }) => ({
        certificate: decodeURIComponent(headers['x-client-cert'] as string),
        verified: headers['x-client-verify'] as never,
      }),
      clients: [
        { clientId: 'dns', tlsClientAuthSanDns: 'machine.example.com', grantTypes: ['client_credentials'] },
      ],
    });
    const { status } = await request(careless.app)
      .post(`${careless.base}/token`)
      .type('form')
      .set(certificate(own, false))
      .send({ grant_type: 'client_credentials', client_id: 'dns' });
    expect(status).toBe(500);
  });

  it('a bound token is good with its certificate only', async () => {
    const { body } = await token('self', certificate(own));
    const call = (headers: Record<string, string>): request.Test =>
      request(host.app)
        .get('/api')
        .set({ Authorization: `Bearer ${body.access_token as string}`, ...headers });
    expect((await call(certificate(own))).status).toBe(200);
    expect(await refused(call({}))).toEqual([401, 'invalid_token']);
    expect(await refused(call(certificate(other)))).toEqual([401, 'invalid_token']);
    const introspected = await request(host.app)
      .post(`${host.base}/introspect`)
      .type('form')
      .set(certificate(own))
      .send({ client_id: 'self', token: body.access_token as string });
    expect(introspected.body).toMatchObject({ active: true, cnf: { 'x5t#S256': thumbprintOf(own) } });
  });

  it('the refresh token of a public client is its certificate’s (§4)', async () => {
    const issued = await getCode(host, 'spa');
    expect(await refused(redeem(host, 'spa', issued))).toEqual([400, 'invalid_request']);
    const { body } = await redeem(host, 'spa', issued).set(certificate(own));
    const refreshToken = body.refresh_token as string;
    expect(await refused(refresh(host, 'spa', refreshToken).set(certificate(other)))).toEqual([
      400,
      'invalid_grant',
    ]);
    expect((await refresh(host, 'spa', refreshToken).set(certificate(own))).status).toBe(200);
  });

  it('a certificate does nothing for a client of another method', async () => {
    const { body } = await post(host, '/token', 'web', {
      grant_type: 'refresh_token',
      refresh_token: 'x',
    }).set(certificate(own));
    expect(body.error).toBe('invalid_grant');
    expect(await refused(token('web', certificate(own)))).toEqual([401, 'invalid_client']);
  });

  it('a stored client with a subject and no method is not a public one', async () => {
    await host.adapter.saveClient!({
      clientId: 'stored-tls',
      tlsClientAuthSanDns: 'machine.example.com',
      grantTypes: ['client_credentials'],
    });
    expect(await refused(token('stored-tls'))).toEqual([401, 'invalid_client']);
    expect((await token('stored-tls', certificate(own))).status).toBe(200);
  });

  it('works on Node’s own TLS', async () => {
    const server = await pair([{ name: 'commonName', value: 'localhost' }]);
    const onTls = makeHost(variant, {
      clientCertificate: ({ socket }) => ({
        certificate: (socket as TLSSocket).getPeerX509Certificate(),
        verified: (socket as TLSSocket).authorized,
      }),
      clients: [
        { clientId: 'dns', tlsClientAuthSanDns: 'machine.example.com', grantTypes: ['client_credentials'] },
      ],
    });
    const listener = https.createServer(
      { ...server, requestCert: true, rejectUnauthorized: false, ca: [own.cert] },
      onTls.app,
    );
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const { port } = listener.address() as AddressInfo;
    const send = (client: Partial<Pair>): Promise<number> =>
      new Promise((resolve, reject) => {
        const sent = https.request(
          {
            host: '127.0.0.1',
            port,
            path: `${onTls.base}/token`,
            method: 'POST',
            headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
            rejectUnauthorized: false,
            agent: false,
            ...client,
          },
          (response) => resolve(response.resume().statusCode ?? 0),
        );
        sent.on('error', reject);
        sent.end('grant_type=client_credentials&client_id=dns');
      });
    try {
      expect(await send(own)).toBe(200);
      expect(await send(other)).toBe(401);
      expect(await send({})).toBe(401);
    } finally {
      listener.closeAllConnections();
      await new Promise((resolve) => listener.close(resolve));
    }
  });
});
