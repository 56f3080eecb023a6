/** An MCP server (streamable HTTP) with the notes of each user, behind the access tokens of a router. */
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer, type AuthInfo } from '@modelcontextprotocol/server';
import express, { Router, type Request } from 'express';
import { mcpAuthInfo, type OAuthRouter, type ResourceOptions } from 'express-oauth-router';

export const SCOPES = { 'notes:read': 'Read your notes', 'notes:write': 'Add notes' };

/** Describes the MCP server at a URL, for its metadata. */
export function notesResource(url: string): ResourceOptions {
  return { identifier: url, name: 'Notes', scopes: Object.keys(SCOPES) };
}

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

/** Serves the MCP server that is the resource `audience`. */
export function createNotes(oauth: OAuthRouter, audience: string): Router {
  // A client begins with what it needs first. A tool that needs more is refused with 403 and the scope, and the client asks the user again.
  const canRead = oauth.requireToken({ audience, scope: 'notes:read', checkRevocation: true });
  const canWrite = oauth.requireToken({
    audience,
    scope: 'notes:read notes:write',
    checkRevocation: true,
  });
  const handle = toNodeHandler(createMcpHandler(createServer));
  return Router().all(
    '/',
    express.json(),
    (req, res, next) => (isWriting(req) ? canWrite : canRead)(req, res, next),
    (req, res, next) => {
      Object.assign(req, { auth: mcpAuthInfo(req) satisfies AuthInfo });
      handle(req, res, req.body).catch(next);
    },
  );
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
