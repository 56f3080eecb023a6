import { readFileSync } from 'node:fs';

import type { Adapter, ClientAuthenticationMethodName } from '../adapters/contract';
import { createStore } from '../adapters/store';
import { createClientChecker } from '../clients/client-checks';
import {
  createClientManager,
  type ClientManager,
  type ManagedClient,
  type NewClient,
} from '../clients/client-manager';
import { fromRfc7591, toRfc7591 } from '../clients/rfc7591';
import { createCheckSector } from '../clients/sector-identifier';
import { invalidClientMetadata } from '../errors';
import { createOutbound } from '../http/outbound';
import { parseJsonObject } from '../json';
import { openStorage, type StorageFlags } from './storage';
import { UsageError } from './usage-error';

/** Seconds. A person waits. */
const STORE_TIMEOUT = 30;
const LISTED_AT_ONCE = 200;

export interface ClientFlags extends StorageFlags {
  readonly id?: string | undefined;
  readonly name?: string | undefined;
  readonly 'redirect-uri'?: string[] | undefined;
  readonly 'grant-type'?: string[] | undefined;
  readonly scope?: string | undefined;
  readonly public?: boolean | undefined;
  readonly metadata?: string | undefined;
  readonly 'keep-for'?: string | undefined;
}

type Action = (clients: ClientManager, ids: readonly string[], flags: ClientFlags) => Promise<string>;

const ACTIONS: Readonly<Record<string, Action>> = {
  create: async (clients, ids, flags) => {
    refuseIds(ids);
    return told(await clients.create(clientOf(flags)));
  },
  list: async (clients, ids) => {
    refuseIds(ids);
    const lines: string[] = [];
    for (let after: string | undefined; ;) {
      const part = await clients.list({ limit: LISTED_AT_ONCE, ...(after !== undefined && { after }) });
      lines.push(...part.map((client) => JSON.stringify(toRfc7591(client))));
      after = part.at(-1)?.clientId;
      if (part.length < LISTED_AT_ONCE) return lines.map((line) => `${line}\n`).join('');
    }
  },
  'rotate-secret': async (clients, ids, flags) => {
    const clientId = onlyOf(ids);
    const keepFor = flags['keep-for'];
    if (keepFor !== undefined && !/^\d+$/.test(keepFor)) throw new UsageError('--keep-for takes seconds');
    const options = keepFor === undefined ? {} : { keepFor: Number(keepFor) };
    return told(existing(await clients.rotateSecret(clientId, options), clientId));
  },
  delete: async (clients, ids) => {
    const clientId = onlyOf(ids);
    existing((await clients.delete(clientId)) || undefined, clientId);
    return `${JSON.stringify({ client_id: clientId })}\n`;
  },
};

/** `client …`: manages the clients of an adapter. @throws UsageError, OAuthError */
export async function clientCommand(
  [action = '', ...ids]: readonly string[],
  flags: ClientFlags,
): Promise<string> {
  const run = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
  if (!run) throw new UsageError(`client ${action}: choose one of ${Object.keys(ACTIONS).join(', ')}`);
  return run(managerOf(await openStorage(flags)), ids, flags);
}

/** Creates the functions of `oauth.clients`, as far as they need no server. */
function managerOf(adapter: Adapter): ClientManager {
  const reporter = { emit: () => undefined };
  const check = createClientChecker({ allowHttp: false, foreignHashes: true, strict: false });
  return createClientManager({
    store: createStore(adapter, { timeout: STORE_TIMEOUT, clock: Date.now, reporter }),
    faultsOf: (client) => check(client).map(({ message }) => message),
    isFixed: () => false,
    checkSector: createCheckSector(
      createOutbound({ allowPrivateAddresses: false, concurrency: { all: 1, ofOrigin: 1 } }),
    ),
    sealer: {
      seal: () => {
        throw invalidClientMetadata(
          'a client with client_secret_jwt is created with oauth.clients, in the app that has the secrets',
        );
      },
    },
    clock: () => Date.now(),
    reporter,
  });
}

function clientOf(flags: ClientFlags): NewClient {
  const { id, name, scope } = flags;
  const redirectUris = flags['redirect-uri'];
  const grantTypes = flags['grant-type'];
  return {
    ...(flags.metadata !== undefined && fromRfc7591(metadataOf(flags.metadata))),
    ...(id !== undefined && { clientId: id }),
    ...(name !== undefined && { clientName: name }),
    ...(redirectUris && { redirectUris }),
    ...(grantTypes && { grantTypes }),
    ...(scope !== undefined && { scope }),
    ...(flags.public && { tokenEndpointAuthMethod: 'none' satisfies ClientAuthenticationMethodName }),
  };
}

/** Reads metadata in the names of RFC 7591. @throws UsageError */
function metadataOf(file: string): Record<string, unknown> {
  const metadata = parseJsonObject(readFileSync(file, 'utf8'));
  if (metadata) return metadata;
  throw new UsageError(`${file} is not a JSON object`);
}

function told({ client, clientSecret }: ManagedClient): string {
  const secret = clientSecret === undefined ? {} : { client_secret: clientSecret };
  return `${JSON.stringify({ ...toRfc7591(client), ...secret })}\n`;
}

function refuseIds([extra]: readonly string[]): void {
  if (extra !== undefined) throw new UsageError(`what is ${extra}? A client id to create is --id ${extra}`);
}

function onlyOf(ids: readonly string[]): string {
  const [clientId, ...more] = ids;
  if (clientId === undefined || more.length > 0) throw new UsageError('name one client id');
  return clientId;
}

function existing<T>(found: T | undefined, clientId: string): T {
  if (found !== undefined) return found;
  throw new UsageError(`there is no client ${clientId}`);
}
