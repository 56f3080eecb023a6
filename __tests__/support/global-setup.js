'use strict';

const { startRedis } = require('./redis-server.js');

/** The whole run has one Redis: the one of REDIS_URL, else a private one. Tests that break a server start their own. */
module.exports = async () => {
  if (globalThis.oauthTestRedis || process.env.REDIS_URL) return;
  globalThis.oauthTestRedis = await startRedis();
  process.env.REDIS_URL = globalThis.oauthTestRedis.url;
};
