import type { ClientMetadata } from '../adapters/contract';
import type { ClientOptions } from '../clients/client';
import { BUILT_IN_GRANT_TYPES, clientMembers, createClientChecker } from '../clients/client-checks';
import { CREDENTIAL_MEMBERS, storedClient } from '../clients/registry';
import { isJsonObject } from '../json';
import type { AnyOptions } from './options';
import { describeFaults } from './suggestions';

/** The clients of the options, with their secrets hashed or sealed, and every fault that was found. */
export interface ReadClients {
  readonly clients: readonly ClientMetadata[];
  readonly faults: readonly string[];
}

export function readClients(
  { clients = [], grants = {} }: AnyOptions,
  { allowHttp, seal }: { allowHttp: boolean; seal: (clientSecret: string) => string },
): ReadClients {
  // The schema reports a value that is not a list of objects.
  if (!Array.isArray(clients) || !clients.every((client: unknown) => isJsonObject(client)))
    return { clients: [], faults: [] };
  const check = createClientChecker({ allowHttp, strict: true });
  const grantTypes: readonly string[] = [
    ...BUILT_IN_GRANT_TYPES,
    ...Object.keys(isJsonObject(grants) ? grants : {}),
  ];

  const faults: string[] = [];
  const read = (clients as unknown as readonly ClientOptions[]).map((client, position): ClientMetadata => {
    const label = `clients[${position}]`;
    const secretFault = unsetFault(client);
    if (secretFault !== undefined) {
      faults.push(`${label}: ${secretFault}`);
      return client;
    }
    const metadata = storedClient(client, seal);
    faults.push(...describeFaults(check(metadata), clientMembers).map((fault) => `${label}: ${fault}`));
    const unknown = [metadata.grantTypes ?? []].flat().filter((grantType) => !grantTypes.includes(grantType));
    if (unknown.length > 0)
      faults.push(`${label}: "grantTypes" contains ${unknown.join(', ')}, which is not switched on`);
    return metadata;
  });
  if (new Set(read.map((client) => client.clientId)).size < read.length)
    faults.push('"clients" contains the same clientId twice');
  return { clients: read, faults };
}

/**
 * Finds a credential that is unset or too short. An environment variable that is not set must not turn a confidential client into
 * a public client.
 */
function unsetFault(client: ClientOptions): string | undefined {
  const secrets: unknown[] = 'clientSecret' in client ? [client.clientSecret].flat() : [];
  if (secrets.some((secret) => typeof secret !== 'string' || secret === ''))
    return '"clientSecret" is not set';
  const unset = CREDENTIAL_MEMBERS.find((name) => name in client && client[name] === undefined);
  if (unset) return `"${unset}" is not set`;
  // RFC 7518 §3.2: an HMAC key is at least as long as its hash.
  const isShort = secrets.some((secret) => Buffer.byteLength(String(secret)) < 32);
  return client.tokenEndpointAuthMethod === 'client_secret_jwt' && isShort
    ? '"clientSecret" must have at least 32 bytes for client_secret_jwt'
    : undefined;
}
