/** Serves an adapter on files to the process that forked this one. */
import { serveAdapter } from 'express-oauth-router/adapter-contract';

import { fileAdapter } from './file-adapter';

const [directory, unlocked] = process.argv.slice(2);
serveAdapter(fileAdapter(directory!, unlocked));
