/** oidc-provider with JWT access tokens of ES256, as a plain OAuth server. */
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';

import { Redis } from 'ioredis';
import { Provider } from 'oidc-provider';

import { CALLBACK, CLIENT, credentials, exchange, form, inParts, pkce, refreshing } from './common.js';

/** The adapter of its documentation, in short. */
function redisAdapterOf(redisUrl) {
  const redis = new Redis(redisUrl);
  const prefix = 'bench:oidc:';
  return class {
    constructor(name) {
      this.name = name;
    }
    key(id) {
      return `${prefix}${this.name}:${id}`;
    }
    async upsert(id, payload, expiresIn) {
      const multi = redis.multi();
      if (['AccessToken', 'AuthorizationCode', 'RefreshToken'].includes(this.name)) {
        multi.hset(this.key(id), { payload: JSON.stringify(payload) });
      } else {
        multi.set(this.key(id), JSON.stringify(payload));
      }
      if (expiresIn) multi.expire(this.key(id), expiresIn);
      if (payload.grantId) {
        const list = `${prefix}grant:${payload.grantId}`;
        multi.rpush(list, this.key(id));
        if (expiresIn) multi.expire(list, expiresIn);
      }
      await multi.exec();
    }
    async find(id) {
      if (!['AccessToken', 'AuthorizationCode', 'RefreshToken'].includes(this.name)) {
        const text = await redis.get(this.key(id));
        return text === null ? undefined : JSON.parse(text);
      }
      const { payload, ...rest } = await redis.hgetall(this.key(id));
      return payload === undefined ? undefined : { ...rest, ...JSON.parse(payload) };
    }
    async consume(id) {
      await redis.hset(this.key(id), 'consumed', Math.floor(Date.now() / 1000));
    }
    async destroy(id) {
      await redis.del(this.key(id));
    }
    async findByUid() {}
    async findByUserCode() {}
    async revokeByGrantId(grantId) {
      const list = `${prefix}grant:${grantId}`;
      await redis.del(...(await redis.lrange(list, 0, -1)), list);
    }
  };
}

/** Its own memory adapter keeps a thousand entries, which is too few here. */
class MemoryAdapter {
  static entries = new Map();
  constructor(name) {
    this.name = name;
  }
  async upsert(id, payload) {
    MemoryAdapter.entries.set(`${this.name}:${id}`, JSON.stringify(payload));
  }
  async find(id) {
    const text = MemoryAdapter.entries.get(`${this.name}:${id}`);
    return text === undefined ? undefined : JSON.parse(text);
  }
  async consume(id) {
    await this.upsert(id, { ...(await this.find(id)), consumed: Math.floor(Date.now() / 1000) });
  }
  async destroy(id) {
    MemoryAdapter.entries.delete(`${this.name}:${id}`);
  }
  async findByUid() {}
  async findByUserCode() {}
  async revokeByGrantId() {}
}

export async function create({ store, redisUrl }) {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.keepAliveTimeout = 60_000;
  const { port } = server.address();
  const jwk = {
    ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
    alg: 'ES256',
    use: 'sig',
    kid: 'one',
  };
  const resource = 'https://api.example.com';
  const provider = new Provider(`http://localhost:${port}`, {
    adapter: store === 'redis' ? redisAdapterOf(redisUrl) : MemoryAdapter,
    jwks: { keys: [jwk] },
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        redirect_uris: [CALLBACK],
        grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
        id_token_signed_response_alg: 'ES256',
        scope: 'api offline_access openid',
      },
    ],
    scopes: ['openid', 'offline_access', 'api'],
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    issueRefreshToken: () => true,
    rotateRefreshToken: true,
    cookies: { keys: ['bench'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'api',
          audience: resource,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  });
  server.on('request', provider.callback());
  const client = await provider.Client.find(CLIENT.id);

  async function code() {
    const { verifier, challenge } = pkce();
    const grant = new provider.Grant({ accountId: 'user', clientId: CLIENT.id });
    grant.addResourceScope(resource, 'api');
    const grantId = await grant.save();
    const code = new provider.AuthorizationCode({
      client,
      accountId: 'user',
      grantId,
      gty: 'authorization_code',
      scope: 'api',
      resource,
      redirectUri: CALLBACK,
      codeChallenge: challenge,
      codeChallengeMethod: 'S256',
      authTime: Math.floor(Date.now() / 1000),
    });
    return { code: await code.save(), verifier };
  }
  async function tokens() {
    const { path, ...request } = exchange('/token', await code());
    return (await fetch(`http://localhost:${port}${path}`, request)).json();
  }
  const prepared = {
    'client credentials': () => credentials('/token'),
    'code exchange': async () => exchange('/token', await code()),
    refresh: async () => refreshing('/token', (await tokens()).refresh_token),
    introspection: async () => form('/token/introspection', { token: (await tokens()).refresh_token }),
  };
  return {
    port,
    operations: Object.keys(prepared),
    prepare: ({ operation, count }) => inParts(count, prepared[operation]),
  };
}
