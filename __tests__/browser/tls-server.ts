import https from 'node:https';
import type { AddressInfo } from 'node:net';

import express, { type Express } from 'express';
import { generate } from 'selfsigned';

export interface TlsServer {
  port: number;
  express: Express;
  close(): Promise<void>;
}

/** An app over TLS, for browsers that do not look at who has signed the certificate. */
export async function tlsServer(): Promise<TlsServer> {
  const tls = await generate([{ name: 'commonName', value: 'example.test' }], { keyType: 'ec' });
  const shell = express();
  const server = https.createServer({ cert: tls.cert, key: tls.private }, shell);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = (): Promise<void> => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  return { port: (server.address() as AddressInfo).port, express: shell, close };
}
