/** The example of an MCP server in its own process: prints its port, and serves until it is killed. */
import express from 'express';
import Redis from 'ioredis';
import type { AddressInfo } from 'node:net';

import { redisAdapter } from 'express-oauth-router';

import { createApp } from '../../examples/mcp-server';

const [keyPrefix = '', prefix = ''] = process.argv.slice(2);
const shell = express();
const server = shell.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  const adapter = redisAdapter(new Redis(process.env.REDIS_URL!), { prefix: keyPrefix });
  shell.use(createApp(`http://localhost:${port}`, { adapter, prefix, allowPrivateAddresses: true }));
  process.stdout.write(`${port}\n`);
});
