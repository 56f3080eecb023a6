'use strict';

module.exports = async () => {
  for (const name of ['oauthTestRedis', 'oauthTestPostgres']) {
    const server = globalThis[name];
    globalThis[name] = undefined;
    await server?.stop();
  }
};
