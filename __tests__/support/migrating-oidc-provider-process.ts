/**
 * An OpenID provider on oidc-provider that is about to be replaced: prints its port, and serves until it is killed. Whoever comes is
 * alice, and consents. `OLD_CLIENTS` and `OLD_KEYS` are its configuration; `/database` is what it has stored.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { Provider, type Adapter, type AdapterPayload, type ClientMetadata, type JWK } from 'oidc-provider';

const database = new Map<string, AdapterPayload>();

class StoredModel implements Adapter {
  constructor(private readonly model: string) {}
  private key(id: string): string {
    return `${this.model}:${id}`;
  }
  upsert(id: string, payload: AdapterPayload): Promise<void> {
    database.set(this.key(id), payload);
    return Promise.resolve();
  }
  find(id: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve(database.get(this.key(id)));
  }
  findByUserCode(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
  findByUid(uid: string): Promise<AdapterPayload | undefined> {
    const found = [...database].find(([key, { uid: of }]) => key.startsWith(`${this.model}:`) && of === uid);
    return Promise.resolve(found?.[1]);
  }
  consume(id: string): Promise<void> {
    database.set(this.key(id), { ...database.get(this.key(id)), consumed: Math.floor(Date.now() / 1000) });
    return Promise.resolve();
  }
  destroy(id: string): Promise<void> {
    database.delete(this.key(id));
    return Promise.resolve();
  }
  revokeByGrantId(grantId: string): Promise<void> {
    for (const [key, { grantId: of }] of database) if (of === grantId) database.delete(key);
    return Promise.resolve();
  }
}

for (const client of JSON.parse(process.env.OLD_CLIENTS!) as ClientMetadata[]) {
  database.set(`Client:${client.client_id}`, client);
}

const server = createServer().listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  const provider = new Provider(`http://localhost:${port}`, {
    adapter: StoredModel,
    jwks: { keys: JSON.parse(process.env.OLD_KEYS!) as JWK[] },
    claims: { openid: ['sub'], email: ['email'] },
    scopes: ['openid', 'offline_access'],
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.com` }),
    }),
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: true },
      revocation: { enabled: true },
      introspection: { enabled: true },
    },
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    rotateRefreshToken: true,
    cookies: { keys: ['of the tests'] },
  });
  const serve = provider.callback();

  async function interact(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { prompt, params, session } = await provider.interactionDetails(req, res);
    if (prompt.name === 'login')
      return provider.interactionFinished(req, res, { login: { accountId: 'alice' } });
    const grant = new provider.Grant({ accountId: session!.accountId, clientId: params.client_id as string });
    grant.addOIDCScope('openid email offline_access');
    return provider.interactionFinished(req, res, { consent: { grantId: await grant.save() } });
  }

  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    if (req.url === '/database') res.end(JSON.stringify([...database]));
    else if (req.url?.startsWith('/interaction/')) void interact(req, res);
    else void serve(req, res);
  });
  process.stdout.write(`${port}\n`);
});
