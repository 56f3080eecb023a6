/** Serves an adapter on a SQLite file to the process that forked this one. */
import { serveAdapter } from 'express-oauth-router/adapter-contract';
import { sqliteAdapter } from 'express-oauth-router/sqlite';

import { openSqlite } from './sqlite';

serveAdapter(sqliteAdapter(openSqlite(process.argv[2]!)));
