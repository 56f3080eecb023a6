/**
 * A bridge between MCP clients and an identity provider that knows neither registration nor metadata documents: the clients introduce
 * themselves here, users sign in there. Set UPSTREAM_ISSUER, UPSTREAM_CLIENT_ID and UPSTREAM_CLIENT_SECRET, and register the redirect URI
 * http://localhost:3000/oauth/callback/company there.
 *
 * The provider knows one client, which is this server, and may send users back without asking them anything. So each MCP client is allowed
 * by its user here, before anything goes to the provider.
 */
import express, { type Express } from 'express';
import { createOAuthRouter, oidcProvider, type Provider } from 'express-oauth-router';
import { listenOnLoopback } from './listen';
import { createNotes, notesResource, SCOPES } from './notes';

export function createApp(origin: string, company: Provider): Express {
  const app = express();
  const resource = `${origin}/mcp`;

  const oauth = createOAuthRouter({
    issuer: `${origin}/oauth`,
    metadataDocuments: true,
    registration: { open: true },
    unknownScopes: 'drop',
    scopes: SCOPES,
    resources: [notesResource(resource)],
    federation: {
      providers: { company },
      // Every request goes to the company's login: this server has no login and no session of its own.
      defaultProvider: 'company',
      resolveUser: ({ subject, name, email }) => ({ id: subject, name, email }),
    },
    authenticate: () => undefined,
    loginUrl: '/',
    pages: { branding: { name: 'Notes' } },
  });
  app.use(oauth.wellKnown);
  app.use('/oauth', oauth);
  app.use('/mcp', createNotes(oauth, resource));
  return app;
}

if (require.main === module) {
  const {
    UPSTREAM_ISSUER: issuer = '',
    UPSTREAM_CLIENT_ID: clientId = '',
    UPSTREAM_CLIENT_SECRET: clientSecret = '',
  } = process.env;
  listenOnLoopback(
    (origin) => createApp(origin, oidcProvider({ issuer, clientId, clientSecret })),
    (origin) => `The MCP server is ${origin}/mcp`,
  );
}
