'use strict';

const { express5 } = require('./jest.projects.js');

/**
 * Runs one variant on another version of Node, without what is the same on all of them: the models, the mistakes of adapters, the
 * documents and the command. `.ci/run` has it.
 */
module.exports = {
  ...require('./jest.config.js'),
  projects: [
    express5({
      variants: ['redis root'],
      ignored: ['/grants/.*-model', 'contract-mistakes', 'generated-documents', '/cli\\.test'],
    }),
  ],
};
