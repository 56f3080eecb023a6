'use strict';

const { startRedis } = require('./redis-server.js');

/** Starts the one Redis of the whole run, unless `REDIS_URL` names a server. Tests that break a server start their own. */
module.exports = async () => {
  if (globalThis.oauthTestRedis || process.env.REDIS_URL) return;
  globalThis.oauthTestRedis = await startRedis();
  process.env.REDIS_URL = globalThis.oauthTestRedis.url;
};
