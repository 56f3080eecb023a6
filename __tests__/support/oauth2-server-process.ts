/** An upstream server of plain OAuth 2.0 in its own process: prints its port, and serves until it is killed. */
import { OAuth2Server } from 'oauth2-mock-server';

import { keyPair } from './keys';

async function main(): Promise<void> {
  const server = new OAuth2Server();
  const jwk = keyPair('RS256').privateKey.export({ format: 'jwk' });
  await server.issuer.keys.add({ ...jwk, kid: 'one', alg: 'RS256' });
  server.service.on('beforeUserinfo', (response: { body: unknown }) => {
    response.body = {
      id: 4711,
      login: 'alice',
      mail: 'alice@example.com',
      avatar: { url: 'https://x.example/a.png' },
    };
  });
  await server.start(0, '127.0.0.1');
  process.stdout.write(`${server.address().port}\n`);
}

void main();
