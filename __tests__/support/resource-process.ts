/** An API in its own process, which shares nothing with its authorization server: prints its port, and serves. */
import express from 'express';
import type { AddressInfo } from 'node:net';

import { createTokenVerifier, type TokenVerifierOptions } from 'express-oauth-router';

const options = JSON.parse(process.argv[2]!) as TokenVerifierOptions;
const { requireToken, metadata } = createTokenVerifier(options);
const app = express();
app.use(metadata);
app.get('/any', requireToken(), (req, res) => {
  const { subject, userId, clientId, scope } = req.oauth;
  res.json({ subject, userId, clientId, scope });
});
app.get('/orders', requireToken({ scope: 'orders:read' }), (_req, res) => void res.json('orders'));
if (options.introspection) {
  app.get('/checked', requireToken({ checkRevocation: true }), (_req, res) => void res.json('checked'));
}
const server = app.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
