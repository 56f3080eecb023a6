import { createHash, randomBytes } from 'node:crypto';

import type { Request } from 'express';

import type { ClientMetadata } from '../adapters/contract';
import type { Store } from '../adapters/store';
import { generateClientSecret } from '../clients/secret-hashes';
import { fromWire, type AcceptClient, type WireMetadata } from '../clients/self-asserted';
import { invalidClientMetadata, serverError } from '../errors';
import type { EventReporter } from '../event-reporter';
import { callHostSync } from '../host/call';
import { networkOf } from '../http/network';
import type { Sealer } from '../tokens/keys';
import type { RegistrationLimit } from './limit';
import type { ReadSoftwareStatement } from './software-statement';

/** A client that has registered, with its secret if it has just got one. */
export interface RegisteredClient {
  readonly client: ClientMetadata;
  readonly clientSecret?: string | undefined;
}

/** Returns the source that registrations are counted for, or nothing for one that is not limited. */
export type RegistrationSource = (req: Request) => string | undefined;

/** Registers a client. @throws OAuthError RFC 7591 §3.2.2 */
export type Register = (
  req: Request,
  wire: WireMetadata,
  initialAccessToken: string | undefined,
) => Promise<RegisteredClient>;

/** The store of a server with registration. */
export type RegistrationStore = Required<Pick<Store, 'saveClient' | 'extendClient' | 'deleteClient'>> &
  Pick<Store, 'getClient' | 'setOnce'>;

export function createRegister(options: {
  store: RegistrationStore;
  accept: AcceptClient;
  readSoftwareStatement: ReadSoftwareStatement;
  clientSecretSealer: Sealer;
  limit: RegistrationLimit;
  sourceOf: RegistrationSource | undefined;
  /** How long a client is kept that has never got a token. Seconds. */
  unusedLifetime: number;
  clock: () => number;
  reporter: EventReporter;
}): Register {
  const { store, accept, readSoftwareStatement, clientSecretSealer, limit, unusedLifetime, clock, reporter } =
    options;

  return async (req, wire, initialAccessToken) => {
    const { metadata, softwareStatement } = await withStatement(wire, readSoftwareStatement);
    const credentials = newCredentials(metadata, clientSecretSealer);
    const hasInitialAccessToken = initialAccessToken !== undefined;
    // A secret is told once. Without one, the same metadata is the same client, however often an app registers.
    const clientId = credentials.clientSecret === undefined ? idOf(metadata, initialAccessToken) : newId();
    if (credentials.clientSecret === undefined) {
      const known = await find(clientId);
      if (known) return { client: known };
    }
    if (!hasInitialAccessToken) await count(req);
    const client = await accept(
      metadata,
      {
        clientId,
        ...credentials.stored,
        clientIdIssuedAt: Math.floor(clock() / 1000),
        selfAsserted: !hasInitialAccessToken,
        // What several installations of an app share, none of them may change.
        managed: hasInitialAccessToken || credentials.clientSecret !== undefined,
      },
      { source: 'registration', hasInitialAccessToken, softwareStatement },
    );
    await store.saveClient(client, unusedLifetime);
    reporter.emit('client.registered', { clientId });
    return { client, clientSecret: credentials.clientSecret };
  };

  /** Finds a client with the same metadata, and lets it live on. */
  async function find(clientId: string): Promise<ClientMetadata | undefined> {
    const [, known] = await Promise.all([
      store.extendClient(clientId, unusedLifetime),
      store.getClient(clientId),
    ]);
    return known as ClientMetadata | undefined;
  }

  async function count(req: Request): Promise<void> {
    const { sourceOf = (): string => networkOf(req.ip) } = options;
    const source: unknown = callHostSync('registration.sourceOf', () => sourceOf(req));
    if (source === undefined) return;
    if (typeof source !== 'string')
      throw serverError(new TypeError('registration.sourceOf must return a string'));
    await limit(source);
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

/** The method of a client that names none (RFC 7591 §2). */
export const DEFAULT_METHOD = 'client_secret_basic';

const SECRET_METHODS: readonly unknown[] = ['client_secret_basic', 'client_secret_post', 'client_secret_jwt'];

/** Creates the secret of a client whose method needs one, in the form that is stored. */
export function newCredentials(
  { token_endpoint_auth_method: given }: WireMetadata,
  sealer: Sealer,
): { readonly stored: Partial<ClientMetadata>; readonly clientSecret: string | undefined } {
  if (typeof given === 'object' && given !== null)
    throw invalidClientMetadata('token_endpoint_auth_method must be a string');
  // RFC 7591 §2: the default. A client that has not chosen may send its secret in either way.
  const method = given ?? DEFAULT_METHOD;
  const chosen = { tokenEndpointAuthMethod: method as ClientMetadata['tokenEndpointAuthMethod'] };
  const stored = (given === undefined || given === null ? {} : chosen) as Partial<ClientMetadata>;
  if (!SECRET_METHODS.includes(method)) return { stored, clientSecret: undefined };
  const { clientSecret, clientSecretHash } = generateClientSecret();
  return method === 'client_secret_jwt'
    ? { stored: { ...stored, clientSecretSealed: sealer.seal(clientSecret) }, clientSecret }
    : { stored: { ...stored, clientSecretHash }, clientSecret };
}

/** The ids that registration gives. */
export const REGISTERED_CLIENT_ID = /^[\w-]{43}$/;

function newId(): string {
  return randomBytes(32).toString('base64url');
}

/** Returns the id of a client with this metadata: of the holder of an initial access token, or of everybody. */
function idOf(metadata: WireMetadata, initialAccessToken: string | undefined): string {
  const text = JSON.stringify([sorted(fromWire(metadata)), initialAccessToken]);
  return createHash('sha256').update(text).digest('base64url');
}

/** Brings the members of objects into one order, so that equal metadata has one text. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return entries.map(([name, member]) => [name, sorted(member)]);
}
