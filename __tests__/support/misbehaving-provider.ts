import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import * as jose from 'jose';
import { joseKeyPair } from './jose';

type Answer = (req: IncomingMessage, res: ServerResponse, body: URLSearchParams) => unknown;
export type Endpoint = '/.well-known/openid-configuration' | '/token' | '/userinfo' | '/jwks';

/** An answer as it is sent. */
export interface Sent {
  status: number;
  type: string;
  text: string;
}

/** An OpenID Connect provider whose behavior a test may change. Everything that the test does not change is correct. */
export interface MisbehavingProvider {
  issuer: string;
  /** The handlers of endpoints that behave differently. */
  instead: Partial<Record<Endpoint, Answer>>;
  /** Changes a right answer: returns what is sent. */
  bend: ((path: Endpoint, document: object) => Sent) | undefined;
  /** Claims that are added to its ID tokens, or replaced in them. */
  claims: Record<string, unknown>;
  /** Members that are added to its token response, or replaced in it. */
  tokens: Record<string, unknown>;
  /** The requests that it received. */
  asked: { path: string; body: URLSearchParams; authorization: string | undefined }[];
  /** The key that signs the ID tokens, which may differ from the key that it publishes. */
  signWith: jose.CryptoKey;
  /** Returns the path and query that its authorization endpoint would redirect a browser to. */
  callbackFor(location: string, more?: Record<string, string>): string;
  close(): Promise<void>;
}

export function json(res: ServerResponse, status: number, body: unknown): void {
  res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

export async function misbehavingProvider(): Promise<MisbehavingProvider> {
  const { privateKey, publicKey } = await joseKeyPair('RS256');
  const jwk = { ...(await jose.exportJWK(publicKey)), kid: 'one', alg: 'RS256', use: 'sig' };

  const right: Record<Endpoint, (body: URLSearchParams) => object | Promise<object>> = {
    '/.well-known/openid-configuration': () => ({
      issuer: provider.issuer,
      authorization_endpoint: `${provider.issuer}/authorize`,
      token_endpoint: `${provider.issuer}/token`,
      userinfo_endpoint: `${provider.issuer}/userinfo`,
      jwks_uri: `${provider.issuer}/jwks`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
      authorization_response_iss_parameter_supported: true,
    }),
    '/jwks': () => ({ keys: [jwk] }),
    '/token': async (body) => {
      const now = Math.floor(Date.now() / 1000);
      const claims = {
        iss: provider.issuer,
        sub: 'eve',
        aud: 'our-server',
        iat: now,
        exp: now + 300,
        // The code contains the nonce.
        nonce: body.get('code')?.split('.')[1],
        ...provider.claims,
      };
      const idToken = await new jose.SignJWT(claims)
        .setProtectedHeader({ alg: 'RS256', kid: 'one' })
        .sign(provider.signWith);
      return {
        access_token: 'upstream-access-token',
        token_type: 'Bearer',
        expires_in: 300,
        id_token: idToken,
        ...provider.tokens,
      };
    },
    '/userinfo': () => ({ sub: provider.claims.sub ?? 'eve' }),
  };

  async function answer(path: Endpoint, res: ServerResponse, body: URLSearchParams): Promise<void> {
    if (!Object.hasOwn(right, path)) return void res.writeHead(404).end();
    const document = await right[path](body);
    if (!provider.bend) return json(res, 200, document);
    const { status, type, text } = provider.bend(path, document);
    res.writeHead(status, { 'Content-Type': type }).end(text);
  }

  const server = createServer((req, res) => {
    const path = (req.url ?? '').split('?')[0] as Endpoint;
    let text = '';
    req.on('data', (chunk: Buffer) => (text += chunk.toString()));
    req.on('end', () => {
      const body = new URLSearchParams(text);
      provider.asked.push({ path, body, authorization: req.headers.authorization });
      const instead = provider.instead[path];
      if (instead) instead(req, res, body);
      else void answer(path, res, body);
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));

  const provider: MisbehavingProvider = {
    issuer: `http://localhost:${(server.address() as AddressInfo).port}`,
    instead: {},
    bend: undefined,
    claims: {},
    tokens: {},
    asked: [],
    signWith: privateKey,
    callbackFor: (location, more = {}) => {
      const asked = new URL(location).searchParams;
      const { pathname } = new URL(asked.get('redirect_uri')!);
      const answer = {
        code: `code.${asked.get('nonce')!}`,
        state: asked.get('state')!,
        iss: provider.issuer,
        ...more,
      };
      return `${pathname}?${new URLSearchParams(answer).toString()}`;
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return provider;
}
