/**
 * Compares token requests of the router with a bare Express handler that parses, signs one ES256 JWT and makes one Redis round
 * trip. Both are measured in turn, round by round; the result is the ratio.
 */
import { fork, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';

const ROUNDS = Number(process.env.ROUNDS ?? 7);
const SECONDS = Number(process.env.SECONDS ?? 4);
const CONNECTIONS = 32;

/**
 * Opens a connection that does as little work as possible, because both servers and this process share two cores. `send` returns
 * the body of the response.
 */
async function connect(port) {
  const socket = net.connect(port, '127.0.0.1').setNoDelay().setEncoding('latin1');
  await once(socket, 'connect');
  let text = '';
  let resolve;
  socket.on('data', (chunk) => {
    text += chunk;
    const head = text.indexOf('\r\n\r\n');
    if (head < 0 || text.length < head + 4 + Number(/content-length: (\d+)/i.exec(text)[1])) return;
    const answer = text;
    text = '';
    if (!answer.startsWith('HTTP/1.1 200')) throw new Error(answer);
    resolve(answer.slice(head + 4));
  });
  return {
    send: (body, client) => {
      const authorization = client
        ? `Authorization: Basic ${Buffer.from(`${client}:secret`).toString('base64')}\r\n`
        : '';
      socket.write(
        `POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n` +
          `${authorization}Content-Length: ${body.length}\r\n\r\n${body}`,
      );
      return new Promise((done) => (resolve = done));
    },
    close: () => socket.destroy(),
  };
}

const refreshTokenOf = (answer) => /"refresh_token":"([^"]+)"/.exec(answer)[1];

async function signIn(port, client = 'web') {
  const verifier = randomBytes(32).toString('base64url');
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  const query = `client_id=${client}&response_type=code&code_challenge=${challenge}&code_challenge_method=S256`;
  const response = await fetch(`http://127.0.0.1:${port}/authorize?${query}`, { redirect: 'manual' });
  const code = new URL(response.headers.get('location')).searchParams.get('code');
  return `grant_type=authorization_code&code=${code}&code_verifier=${verifier}`;
}

/**
 * Returns the requests per second of as many concurrent clients as there are connections; `more` says whether there is work left.
 */
async function rate(request, more) {
  const end = performance.now() + SECONDS * 1000;
  let done = 0;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async (_, position) => {
      while (performance.now() < end && more()) {
        await request(position);
        done++;
      }
    }),
  );
  return (done * 1000) / (performance.now() - start);
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

const redisPort = await freePort();
const redis = spawn('redis-server', ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', ''], {
  stdio: 'ignore',
});
const env = { ...process.env, REDIS_URL: `redis://127.0.0.1:${redisPort}` };
const servers = ['bare', 'router'].map((kind) =>
  fork(new URL('server.js', import.meta.url), [kind], { env }),
);
try {
  const [bare, router] = await Promise.all(servers.map(async (child) => (await once(child, 'message'))[0]));

  const connectAll = (port) => Promise.all(Array.from({ length: CONNECTIONS }, () => connect(port)));
  const [toBare, toRouter] = await Promise.all([connectAll(bare), connectAll(router)]);
  const bareTokens = toBare.map(() => randomBytes(54).toString('base64url'));
  const tokens = [];
  for (const connection of toRouter) {
    tokens.push(refreshTokenOf(await connection.send(await signIn(router), 'web')));
  }
  const publicTokens = [];
  for (const connection of toRouter) {
    publicTokens.push(refreshTokenOf(await connection.send(`client_id=spa&${await signIn(router, 'spa')}`)));
  }
  const codes = [];

  const refresh = async (connections, held, position, client) => {
    const body = `grant_type=refresh_token&client_id=${client ?? 'spa'}&refresh_token=${held[position]}`;
    const answer = await connections[position].send(body, client);
    held[position] = refreshTokenOf(answer);
  };
  const cases = {
    bare: (position) => refresh(toBare, bareTokens, position),
    'refresh, public': (position) => refresh(toRouter, publicTokens, position),
    'refresh, by secret': (position) => refresh(toRouter, tokens, position, 'web'),
    'client credentials': (position) => toRouter[position].send('grant_type=client_credentials', 'machine'),
    'code exchange': (position) => toRouter[position].send(codes.pop(), 'web'),
  };
  const rates = Object.fromEntries(Object.keys(cases).map((name) => [name, []]));
  for (let round = -1; round < ROUNDS; round++) {
    for (const [name, request] of Object.entries(cases)) {
      // Codes live for a minute, so each round starts with as many new codes as it may need.
      if (name === 'code exchange')
        while (codes.length < 1000 * SECONDS)
          codes.push(...(await Promise.all(tokens.map(() => signIn(router)))));
      const measured = await rate(request, () => name !== 'code exchange' || codes.length > 0);
      codes.length = 0;
      // The first round warms up.
      if (round >= 0) rates[name].push(measured);
    }
  }
  console.log(`requests a second, median of ${ROUNDS} rounds of ${SECONDS} s, ${CONNECTIONS} connections\n`);
  for (const [name, measured] of Object.entries(rates)) {
    const ratios = measured.map((value, round) => value / rates.bare[round]);
    const spread = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
    console.log(
      `${name.padEnd(20)} ${median(measured).toFixed(0).padStart(6)}   ${median(ratios).toFixed(2)} of bare (${spread})`,
    );
  }
} finally {
  for (const child of [...servers, redis]) child.kill();
}
