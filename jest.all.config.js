'use strict';

const { projects } = require('./jest.projects.js');

/**
 * Runs every variant on Express 5 and, on Express 4, the folders below with each store and each mount once: `npm run test:all`.
 */
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
        'registration',
        'resource',
        'token',
        'tokens',
      ],
      variants: ['memory root', 'redis prefix'],
    },
  }),
};
