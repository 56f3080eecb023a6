'use strict';

const { projects } = require('./jest.projects.js');

/** Every variant on Express 5; on Express 4 everything that goes through HTTP, each store and each mount once: `npm run test:all`. */
module.exports = {
  ...require('./jest.config.js'),
  projects: projects({
    express5: ['memory root', 'memory prefix', 'redis root', 'redis prefix'],
    express4: {
      folders: [
        'authorization',
        'clients',
        'endpoints',
        'http',
        'logout',
        'policy',
        'resource',
        'token',
        'tokens',
      ],
      variants: ['memory root', 'redis prefix'],
    },
  }),
};
