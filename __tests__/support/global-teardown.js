'use strict';

module.exports = async () => {
  const server = globalThis.oauthTestRedis;
  globalThis.oauthTestRedis = undefined;
  await server?.stop();
};
