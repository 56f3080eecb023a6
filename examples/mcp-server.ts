/**
 * An MCP server (streamable HTTP) and its authorization server in one Express app: `npx tsx examples/mcp-server.ts`, then give an MCP client
 * http://localhost:3000/mcp. With REDIS_URL, OAUTH_SECRET and OAUTH_SIGNING_KEY (from `npx express-oauth-router init`), clients and logins
 * outlive the process.
 */
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer, type AuthInfo } from '@modelcontextprotocol/server';
import express, { type Express, type Request } from 'express';
import Redis from 'ioredis';
import { createOAuthRouter, mcpAuthInfo, redisAdapter, type Adapter } from 'express-oauth-router';
import { listenOnLoopback } from './listen';
import { createLogin } from './login';

/** The notes of each user. */
const notes = new Map<string, string[]>();

function createServer(): McpServer {
  const server = new McpServer({ name: 'notes', version: '1.0.0' });
  server.registerTool('list_notes', { description: 'Lists your notes' }, ({ http }) =>
    text(notesOf(http?.authInfo).join('\n') || 'no notes'),
  );
  server.registerTool('add_note', { description: 'Adds a note' }, ({ http }) => {
    notesOf(http?.authInfo).push(`A note of ${new Date().toISOString()}`);
    return text('added');
  });
  return server;
}

/** The tools that need more than `notes:read`. */
const WRITING_TOOLS: readonly unknown[] = ['add_note'];

export interface McpServerOptions {
  /** Where clients and logins are stored; in memory by default. */
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
    scopes: { 'notes:read': 'Read your notes', 'notes:write': 'Add notes' },
    resources: [{ identifier: resource, name: 'Notes', scopes: ['notes:read', 'notes:write'] }],
    authenticate: (req) => req.session.user,
    loginUrl: '/login',
    pages: { branding: { name: 'Notes' } },
  });
  app.use(createLogin({ secret: secret ?? 'of this example', isResumeUrl: oauth.isResumeUrl }));
  app.use(oauth.wellKnown);
  if (prefix) app.use(prefix, oauth);
  else app.use(oauth);

  // A client begins with what it needs first. A tool that needs more is refused with 403 and the scope, and the client asks the user again.
  const canRead = oauth.requireToken({ audience: resource, scope: 'notes:read', checkRevocation: true });
  const canWrite = oauth.requireToken({
    audience: resource,
    scope: 'notes:read notes:write',
    checkRevocation: true,
  });
  const handle = toNodeHandler(createMcpHandler(createServer));
  app.all(
    '/mcp',
    express.json(),
    (req, res, next) => (isWriting(req) ? canWrite : canRead)(req, res, next),
    (req, res, next) => {
      Object.assign(req, { auth: mcpAuthInfo(req) satisfies AuthInfo });
      handle(req, res, req.body).catch(next);
    },
  );
  return app;
}

function isWriting({ body }: Request): boolean {
  const messages = [body ?? []].flat() as { method?: unknown; params?: { name?: unknown } }[];
  return messages.some(
    ({ method, params }) => method === 'tools/call' && WRITING_TOOLS.includes(params?.name),
  );
}

function notesOf(auth: AuthInfo | undefined): string[] {
  const userId = String(auth?.extra?.userId);
  const own = notes.get(userId) ?? [];
  notes.set(userId, own);
  return own;
}

function text(value: string): { content: { type: 'text'; text: string }[] } {
  return { content: [{ type: 'text', text: value }] };
}

if (require.main === module) {
  const { REDIS_URL, OAUTH_SECRET: secret, OAUTH_SIGNING_KEY: signingKey } = process.env;
  const adapter = REDIS_URL === undefined ? undefined : redisAdapter(new Redis(REDIS_URL));
  listenOnLoopback(
    (origin) => createApp(origin, { adapter, secret, signingKey }),
    (origin) => `The MCP server is ${origin}/mcp`,
  );
}
