import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { PAGES, root, snippetsOf } from '../support/snippets';

const directory = path.join(root, '.snippets');

/** The host that the snippets of the documentation belong to. */
const GLOBALS = `
import type * as Library from 'express-oauth-router';
import type { Express, RequestHandler, Request, Response } from 'express';

interface HostUser {
  id: string; name: string; email: string; emailVerified: boolean; providerIds: string[]; tenant: string; needsSecondFactor: boolean;
  authTime?: number; sid?: string;
}
interface Device { userId: string }
interface OldToken { token: string; clientId: string; userId: string; scope: string; createdAt: Date; expiresAt: Date; revokedAt?: Date }

declare module 'express-session' {
  interface SessionData { user: User }
}

declare global {
  type User = HostUser | { id: string; name: string; authTime: number };
  const createOAuthRouter: typeof Library.createOAuthRouter;
  const createTokenVerifier: typeof Library.createTokenVerifier;
  const oidcProvider: typeof Library.oidcProvider;
  const oauth2Provider: typeof Library.oauth2Provider;
  const providerPresets: typeof Library.providerPresets;
  const accountLinking: typeof Library.accountLinking;
  const memoryAdapter: typeof Library.memoryAdapter;
  const redisAdapter: typeof Library.redisAdapter;
  const OAuthError: typeof Library.OAuthError;
  const Redis: typeof import('ioredis').Redis;
  const express: typeof import('express');
  const promisify: typeof import('node:util').promisify;
  const TLSSocket: typeof import('node:tls').TLSSocket;
  const jwt: typeof import('jsonwebtoken');
  const request: typeof import('supertest');
  const cors: typeof import('cors');

  const app: Express;
  const req: Request;
  const res: Response;
  const server: import('node:http').Server;
  const oauth: Library.OAuthRouter;
  const adapter: Library.Adapter;
  const redis: import('ioredis').Redis;
  const token: string;
  const log: Record<'info' | 'error', (facts: object, text: string) => void>;
  const limiter: { consume(key: string): Promise<{ allowed: boolean; retryAfter: number }> };
  const pool: { query(text: string, values: readonly unknown[]): Promise<{ rowCount: number }> };
  const postgresAdapter: (pool: unknown) => Library.Adapter;
  const readSecrets: () => string[];
  const readSigningKeys: () => string[];
  const bcrypt: { compare(text: string, hash: string): Promise<boolean> };
  const prisma: { $queryRawUnsafe<T>(text: string, ...values: unknown[]): Promise<T> };
  const listOrders: RequestHandler;
  const transfer: RequestHandler;
  const mcp: string;
  const mcpAuthInfo: typeof Library.mcpAuthInfo;
  const requireBearerAuth: typeof import('@modelcontextprotocol/express').requireBearerAuth;
  const handleMcp: (req: Request, res: Response) => Promise<void>;
  const ordersOf: (userId: string | undefined) => unknown;
  const userId: string;
  const grantId: string;
  const clientId: string;
  const applePrivateKey: string;
  const APPLE_KEY_ID: string;
  const APPLE_TEAM_ID: string;
  const oldModel: (name: string) => { find(id: string): Promise<import('oidc-provider').AdapterPayload | undefined> };
  const oldClients: () => Promise<Record<string, unknown>[]>;
  const oldJwks: { keys: Library.SigningJwk[] };
  const db: {
    oldClients: {
      all(): Promise<{ id: string; secret: string; redirectUris: string[]; grants: string[]; scope: string; isOurs: boolean }[]>;
    };
    oldRefreshTokens: { find(token: string): Promise<OldToken | undefined> };
    oldAccessTokens: { find(token: string): Promise<OldToken | undefined> };
    clients: { find(clientId: string): Promise<Library.ClientMetadata | undefined> };
    developerTokens: { find(token: string): Promise<object | undefined> };
    devices: { find(code: string | undefined): Promise<Device | undefined> };
    orders: { of(userId: string | undefined): Promise<unknown> };
    users: {
      verify(form: unknown): Promise<HostUser | undefined>;
      find(id: string): Promise<HostUser | undefined>;
      findByIdentity(provider: string, issuer: string | undefined, subject: string): Promise<HostUser | undefined>;
      findByEmail(email: string): Promise<HostUser | undefined>;
      create(identity: Library.ProviderIdentity, sameEmail: HostUser | undefined): Promise<HostUser>;
    };
    identities: { create(userId: string, identity: Library.ProviderIdentity): Promise<void> };
  };
  /** The rest of the options, for snippets that show some. */
  const options: Library.OAuthRouterOptions;
  /** The essential options, for snippets that show another one. */
  const given: { issuer: string; authenticate: () => HostUser; loginUrl: string };
}
`;

/** A snippet that shows a member of an object gets the object around it. */
function wholeOf(snippet: string): string {
  const [, member] = /^(\w+): /.exec(snippet) ?? [];
  if (member === undefined) return snippet;
  if (member === 'apple')
    return `createOAuthRouter({ ...given, federation: { providers: { ${snippet} } } });`;
  if (member === 'advanceGrant')
    return `export const functions: Partial<import('express-oauth-router').Adapter> = { ${snippet} };`;
  return `createOAuthRouter({ ...given, ${snippet} });`;
}

describe('the snippets of the documentation', () => {
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('type-check in strict TypeScript', () => {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    writeFileSync(path.join(directory, 'globals.d.ts'), GLOBALS);
    const files = PAGES.filter((page) => page !== 'CONTRIBUTING.md').flatMap((page) =>
      snippetsOf(page).map((snippet, position) => {
        const file = `${path.basename(page, '.md')}-${position + 1}.mts`;
        writeFileSync(path.join(directory, file), `${wholeOf(snippet)}\nexport {};\n`);
        return file;
      }),
    );
    expect(files.length).toBeGreaterThan(20);
    const config = {
      extends: path.join(root, 'tsconfig.json'),
      compilerOptions: { types: ['node'], noUnusedLocals: false, noUnusedParameters: false },
      files: ['globals.d.ts', ...files],
      include: [],
    };
    writeFileSync(path.join(directory, 'tsconfig.json'), JSON.stringify(config));
    const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
    const { stdout } = spawnSync(process.execPath, [tsc, '-p', directory], { encoding: 'utf8' });
    expect(stdout).toBe('');
  });
});
