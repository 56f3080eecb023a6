import type { ClientMetadata } from '../adapters/contract';
import type { ClientOptions } from '../clients/client';
import { BUILT_IN_GRANT_TYPES, clientMembers, createClientChecker } from '../clients/client-checks';
import { missingFeatures, type ServerFeatures } from '../clients/client-features';
import { CREDENTIAL_MEMBERS, storedClient } from '../clients/registry';
import { isJsonObject } from '../json';
import type { AnyOptions } from './options';
import { describeFaults } from './suggestions';

/** The clients of the options, with their secrets hashed or sealed, and every fault that was found. */
export interface ReadClients {
  readonly clients: readonly ClientMetadata[];
  readonly faults: readonly string[];
}

/** Creates the function that finds grant types which are not switched on. */
function createGrantFaults(grants: object): (client: ClientMetadata) => readonly string[] {
  const known: readonly string[] = [...BUILT_IN_GRANT_TYPES, ...Object.keys(grants)];
  return ({ grantTypes = [] }) => {
    const unknown = [grantTypes].flat().filter((grantType) => !known.includes(grantType));
    return unknown.length > 0
      ? [`"grantTypes" contains ${unknown.join(', ')}, which is not switched on`]
      : [];
  };
}

/** Creates the function that finds all faults of a client to store. `names` are members that may be misspelled. */
export function createClientFaults({
  allowHttp,
  foreignHashes,
  features,
  grants,
}: {
  allowHttp: boolean;
  foreignHashes: boolean;
  features: ServerFeatures;
  grants: object;
}): (client: ClientMetadata, names: readonly string[]) => readonly string[] {
  const check = createClientChecker({ allowHttp, foreignHashes, strict: false });
  const checkStrictly = createClientChecker({ allowHttp, foreignHashes, strict: true });
  const grantFaults = createGrantFaults(grants);
  return (client, names) => {
    const unknown = checkStrictly(client).filter(
      ({ type, path }) => type === 'object.unknown' && names.includes(String(path[0])),
    );
    return [
      ...describeFaults([...unknown, ...check(client)], clientMembers),
      ...grantFaults(client),
      ...missingFeatures(client, features).map(({ fault }) => fault),
    ];
  };
}

/** Returns the faults of a client. */
export function checkClient(
  client: Partial<ClientOptions>,
  { allowHttp = false, foreignHashes = false }: { allowHttp?: boolean; foreignHashes?: boolean } = {},
): readonly string[] {
  if (!isJsonObject(client)) return ['"client" must be an object'];
  const secretFault = unsetFault(client as ClientOptions);
  if (secretFault !== undefined) return [secretFault];
  const check = createClientChecker({ allowHttp, foreignHashes, strict: true });
  // What is sealed here is thrown away.
  const metadata = storedClient(client as ClientOptions, () => ANY_SEALED);
  return describeFaults(check(metadata), clientMembers);
}

/** A text of the form of a sealed secret. */
const ANY_SEALED = 'unsealed'.padEnd(80, '-');

export function readClients(
  { clients = [], grants = {}, verifyClientSecret }: AnyOptions,
  { allowHttp, seal }: { allowHttp: boolean; seal: (clientSecret: string) => string },
): ReadClients {
  // The schema reports a value that is not a list of objects.
  if (!Array.isArray(clients) || !clients.every((client: unknown) => isJsonObject(client)))
    return { clients: [], faults: [] };
  const check = createClientChecker({
    allowHttp,
    foreignHashes: verifyClientSecret !== undefined,
    strict: true,
  });
  const grantFaults = createGrantFaults(isJsonObject(grants) ? grants : {});

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
    faults.push(...grantFaults(metadata).map((fault) => `${label}: ${fault}`));
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
