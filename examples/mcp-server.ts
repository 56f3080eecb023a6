/**
 * An MCP server (streamable HTTP) and its authorization server in one Express app: `npx tsx examples/mcp-server.ts`, then give an MCP client
 * http://localhost:3000/mcp. With REDIS_URL, OAUTH_SECRET and OAUTH_SIGNING_KEY (from `npx express-oauth-router init`), clients and their
 * tokens outlive the process; the sessions of the login and the notes of this example do not.
 */
import express, { type Express } from 'express';
import Redis from 'ioredis';
import { createOAuthRouter, redisAdapter, type Adapter } from 'express-oauth-router';
import { listenOnLoopback } from './listen';
import { createLogin } from './login';
import { createNotes, notesResource, SCOPES } from './notes';

export interface McpServerOptions {
  /** Where clients and grants are stored; in memory by default. */
  adapter?: Adapter | undefined;
  /** The path of the authorization server. */
  prefix?: string;
  secret?: string | undefined;
  signingKey?: string | undefined;
  /** For development: clients may have their metadata document on this machine. */
  allowPrivateAddresses?: boolean;
}

export function createApp(origin: string, options: McpServerOptions = {}): Express {
  const { adapter, prefix = '/oauth', secret, signingKey, allowPrivateAddresses } = options;
  const app = express();
  const resource = `${origin}/mcp`;

  const oauth = createOAuthRouter({
    issuer: `${origin}${prefix}`,
    ...(adapter && { adapter }),
    ...(secret !== undefined && { secrets: [secret] }),
    ...(signingKey !== undefined && { signingKeys: [signingKey] }),
    // Clients introduce themselves: most by a document at the URL that is their id, older ones by registering.
    metadataDocuments: true,
    registration: { open: true },
    ...(allowPrivateAddresses !== undefined && { allowPrivateAddresses }),
    // Some clients send scope values of their own to every server.
    unknownScopes: 'drop',
    scopes: SCOPES,
    resources: [notesResource(resource)],
    authenticate: (req) => req.session.user,
    loginUrl: '/login',
    pages: { branding: { name: 'Notes' } },
  });
  app.use(createLogin({ secret: secret ?? 'of this example', isResumeUrl: oauth.isResumeUrl }));
  app.use(oauth.wellKnown);
  if (prefix) app.use(prefix, oauth);
  else app.use(oauth);

  app.use('/mcp', createNotes(oauth, resource));
  return app;
}

if (require.main === module) {
  const { REDIS_URL, OAUTH_SECRET: secret, OAUTH_SIGNING_KEY: signingKey } = process.env;
  const adapter = REDIS_URL === undefined ? undefined : redisAdapter(new Redis(REDIS_URL));
  listenOnLoopback(
    (origin) => createApp(origin, { adapter, secret, signingKey }),
    (origin) => `The MCP server is ${origin}/mcp`,
  );
}
