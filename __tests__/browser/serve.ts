import type { AddressInfo } from 'node:net';

import type { Express } from 'express';

/** Starts an app on a free port, which it returns, and adds what stops it to `closers`. */
export async function serve(app: Express, closers: (() => unknown)[]): Promise<number> {
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
