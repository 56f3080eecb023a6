'use strict';

const { express5 } = require('./jest.projects.js');

/**
 * Runs `npm test` on another version of Node, without Express 4 and what is the same on all of them: the models, the mistakes of adapters, the
 * documents and the command. `.ci/run` has it.
 */
module.exports = {
  ...require('./jest.config.js'),
  projects: [
    express5({
      variants: ['memory root', 'redis prefix'],
      ignored: ['/grants/.*-model', 'contract-mistakes', 'generated-documents', '/cli\\.test'],
    }),
  ],
};
