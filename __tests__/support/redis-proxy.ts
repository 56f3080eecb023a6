import net from 'node:net';
import type { AddressInfo } from 'node:net';

/** A TCP proxy in front of Redis that counts round trips and loses responses. */
export interface RedisProxy {
  url: string;
  /** The number of round trips: how often a request was sent first, or after a response had arrived. */
  roundTrips(): number;
  reset(): void;
  /** The delay of every response. Milliseconds. */
  delay: number;
  /** Makes the response of the next script that writes late (milliseconds), or drops the connection instead. */
  nextWrite: { drop: true } | { late: number } | undefined;
  close(): Promise<void>;
}

/** Whether a chunk has a script with arguments besides its key: those that read have none. */
function isWrite(chunk: string): boolean {
  return [...chunk.matchAll(/\*(\d+)\r\n\$7\r\nevalsha\r\n/gi)].some(([, parts]) => Number(parts) > 4);
}

export async function redisProxy(target: string): Promise<RedisProxy> {
  const { port, hostname } = new URL(target);
  const sockets = new Set<net.Socket>();
  let roundTrips = 0;
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
      if (answered) roundTrips++;
      answered = false;
      if (proxy.nextWrite && isWrite(chunk.toString('latin1'))) {
        if ('drop' in proxy.nextWrite) drop = true;
        else late = proxy.nextWrite.late;
        proxy.nextWrite = undefined;
      }
      upstream.write(chunk);
    });
    let queue = Promise.resolve();
    upstream.on('data', (chunk) => {
      if (drop) return void client.destroy();
      const due = performance.now() + proxy.delay + late;
      late = 0;
      queue = queue.then(async () => {
        await new Promise((resolve) => setTimeout(resolve, due - performance.now()));
        answered = true;
        client.write(chunk);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const proxy: RedisProxy = {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    roundTrips: () => roundTrips,
    reset: () => {
      roundTrips = 0;
      answered = true;
    },
    delay: 0,
    nextWrite: undefined,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
