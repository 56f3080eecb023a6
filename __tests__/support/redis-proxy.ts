import net from 'node:net';
import type { AddressInfo } from 'node:net';

/** A TCP proxy in front of a Redis, that counts waves and loses answers. */
export interface RedisProxy {
  url: string;
  /** How often something was sent after an answer had come, or as the first thing. */
  waves(): number;
  reset(): void;
  /** Holds every answer back for so many milliseconds. */
  delay: number;
  /** What happens to the answer of the next script: it arrives late, or the connection is dropped instead. */
  nextScript: { drop: true } | { late: number } | undefined;
  close(): Promise<void>;
}

export async function redisProxy(target: string): Promise<RedisProxy> {
  const { port, hostname } = new URL(target);
  const sockets = new Set<net.Socket>();
  let waves = 0;
  let answered = true;

  const server = net.createServer((client) => {
    const upstream = net.connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket.on('error', () => undefined));
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
      });
    }
    let late = 0;
    let drop = false;
    client.on('data', (chunk) => {
      if (answered) waves++;
      answered = false;
      if (proxy.nextScript && /\r\nevalsha\r\n/i.test(chunk.toString('latin1'))) {
        if ('drop' in proxy.nextScript) drop = true;
        else late = proxy.nextScript.late;
        proxy.nextScript = undefined;
      }
      upstream.write(chunk);
    });
    let queue = Promise.resolve();
    upstream.on('data', (chunk) => {
      if (drop) return void client.destroy();
      const wait = proxy.delay + late;
      late = 0;
      queue = queue.then(async () => {
        await new Promise((resolve) => setTimeout(resolve, wait));
        answered = true;
        client.write(chunk);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const proxy: RedisProxy = {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    waves: () => waves,
    reset: () => {
      waves = 0;
      answered = true;
    },
    delay: 0,
    nextScript: undefined,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
