'use strict';

const { startPostgres } = require('./postgres-server.js');
const { startRedis } = require('./redis-server.js');

/**
 * Starts the one Redis of the whole run, unless `REDIS_URL` names a server, and the one PostgreSQL, unless `POSTGRES_URL` does, if a
 * project of the run needs it. Tests that break a server start their own.
 */
module.exports = async (_config, { globals }) => {
  if (!globalThis.oauthTestRedis && !process.env.REDIS_URL) {
    globalThis.oauthTestRedis = await startRedis();
    process.env.REDIS_URL = globalThis.oauthTestRedis.url;
  }
  if (globals.POSTGRES && !globalThis.oauthTestPostgres && !process.env.POSTGRES_URL) {
    globalThis.oauthTestPostgres = await startPostgres(['max_connections=400']);
    process.env.POSTGRES_URL = globalThis.oauthTestPostgres.url;
  }
};
