import { writeFileSync } from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { generate } from 'selfsigned';

/** A server of clients' metadata documents, over TLS. */
export interface DocumentServer {
  origin: string;
  /** The certificate, for `NODE_EXTRA_CA_CERTS`. */
  certificateFile: string;
  /** The documents by path. */
  documents: Map<string, object>;
  close(): void;
}

export async function startDocumentServer(): Promise<DocumentServer> {
  const tls = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
  });
  const documents = new Map<string, object>();
  const server = https.createServer({ cert: tls.cert, key: tls.private }, (req, res) => {
    const document = documents.get(req.url ?? '');
    res.writeHead(document ? 200 : 404, { 'Content-Type': 'application/json' });
    res.end(JSON.stringify(document ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const certificateFile = path.join(tmpdir(), `document-server-${port}.pem`);
  writeFileSync(certificateFile, tls.cert);
  return {
    origin: `https://localhost:${port}`,
    certificateFile,
    documents,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
