import type { Request } from 'express';

import type { ClientMetadata } from '../adapters/contract';
import type { Store } from '../adapters/store';
import { newClientId, newCredentials } from '../clients/new-credentials';
import { fromWire, type WireMetadata } from '../clients/rfc7591';
import type { SelfAssertedClients } from '../clients/self-asserted';
import { sha256 } from '../digest';
import type { EventReporter } from '../event-reporter';
import { withoutNulls } from '../json';
import type { Sealer } from '../tokens/keys';
import type { CountRegistration } from './limit';
import type { ReadSoftwareStatement } from './software-statement';

/** A client that has registered, with its secret if it has just got one. */
export interface RegisteredClient {
  readonly client: ClientMetadata;
  readonly clientSecret?: string | undefined;
  /** The software statement of the request, as it was sent. */
  readonly softwareStatement?: unknown;
}

/** Registers a client. @throws OAuthError RFC 7591 §3.2.2 */
export type Register = (
  req: Request,
  wire: WireMetadata,
  hasInitialAccessToken: boolean,
) => Promise<RegisteredClient>;

/** The store of a server with registration. */
export type RegistrationStore = Required<
  Pick<Store, 'saveClient' | 'replaceClient' | 'extendClient' | 'deleteClient'>
> &
  Pick<Store, 'getClient' | 'setOnce'>;

export function createRegister(options: {
  store: RegistrationStore;
  clients: SelfAssertedClients;
  readSoftwareStatement: ReadSoftwareStatement;
  clientSecretSealer: Sealer;
  count: CountRegistration;
  /** How long a client is kept that has never got a token. Seconds. */
  unusedLifetime: number;
  clock: () => number;
  reporter: EventReporter;
}): Register {
  const {
    store,
    clients,
    readSoftwareStatement,
    clientSecretSealer,
    count,
    unusedLifetime,
    clock,
    reporter,
  } = options;

  return async (req, wire, hasInitialAccessToken) => {
    const { metadata, softwareStatement } = await withStatement(wire, readSoftwareStatement);
    const { stored, clientSecret } = newCredentials(metadata.token_endpoint_auth_method, clientSecretSealer);
    // A secret is told once, and what is vouched for belongs to one developer. Anything else is the same client, however often an app
    // registers.
    const isShared = clientSecret === undefined && !hasInitialAccessToken;
    const clientId = isShared ? idOf(metadata, softwareStatement) : newClientId();
    const known = isShared ? await find(clientId) : undefined;
    if (known) return { client: known, softwareStatement: wire.software_statement };
    const issuedAt = Math.floor(clock() / 1000);
    const read = clients.read(
      metadata,
      {
        clientId,
        ...stored,
        clientIdIssuedAt: issuedAt,
        // What was granted to a client of this id before it was deleted stays withdrawn.
        grantsNotBefore: issuedAt,
        selfAsserted: !hasInitialAccessToken,
        registration: hasInitialAccessToken ? 'initial_access_token' : isShared ? 'shared' : 'own',
      },
      'registration',
    );
    if (!hasInitialAccessToken) await count(req);
    const client = await clients.approve(read, {
      source: 'registration',
      hasInitialAccessToken,
      softwareStatement,
    });
    await store.saveClient(client, unusedLifetime);
    reporter.emit('client.registered', { clientId });
    return { client, clientSecret, softwareStatement: wire.software_statement };
  };

  /** Finds a client with the same metadata, and lets it live on. */
  async function find(clientId: string): Promise<ClientMetadata | undefined> {
    const [, known] = await Promise.all([
      store.extendClient(clientId, unusedLifetime),
      store.getClient(clientId),
    ]);
    return known && (withoutNulls(known) as unknown as ClientMetadata);
  }
}

/** Adds the claims of a software statement, which override what the client says itself (RFC 7591 §2.3). */
export async function withStatement(
  wire: WireMetadata,
  read: ReadSoftwareStatement,
): Promise<{ metadata: WireMetadata; softwareStatement: WireMetadata | undefined }> {
  const { software_statement: statement } = wire;
  if (statement === undefined || statement === null) return { metadata: wire, softwareStatement: undefined };
  const softwareStatement = await read(statement);
  return { metadata: { ...wire, ...softwareStatement }, softwareStatement };
}

/** The ids that registration gives. */
export const REGISTERED_CLIENT_ID = /^[\w-]{43}$/;

/** Returns the id of all clients with this metadata. */
function idOf(metadata: WireMetadata, softwareStatement: WireMetadata | undefined): string {
  const text = JSON.stringify([sorted(fromWire(metadata)), sorted(softwareStatement)]);
  return sha256(text);
}

/** Brings the members of objects into one order, so that equal metadata has one text. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return entries.map(([name, member]) => [name, sorted(member)]);
}
