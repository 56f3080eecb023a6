import type { Request, RequestHandler, Response } from 'express';

import type { ClientMetadata } from '../adapters/contract';
import { asList } from '../clients/client';
import { newCredentials } from '../clients/new-credentials';
import { createReplaceClient } from '../clients/replace-client';
import { isSecretHash, verifyClientSecret } from '../clients/secret-hashes';
import type { WireMetadata } from '../clients/rfc7591';
import type { SelfAssertedClients } from '../clients/self-asserted';
import { invalidClientMetadata, OAuthError, temporarilyUnavailable } from '../errors';
import type { EventReporter } from '../event-reporter';
import { jsonBody } from '../http/body';
import { createEndpoint, sendJson, type EndpointFrame } from '../http/endpoint';
import { networkOfSender } from '../http/network';
import { noStore } from '../http/redirect';
import { definedMembers, withoutNulls } from '../json';
import { presentedToken } from '../resource/presented-token';
import type { Sealer } from '../tokens/keys';
import type { RegistrationAccessTokens } from './access-tokens';
import type { ClientInformation } from './information';
import type { CountRegistration } from './limit';
import { withStatement, type RegisteredClient, type RegistrationStore } from './register';
import type { ReadSoftwareStatement } from './software-statement';

interface ManagementEndpointOptions {
  store: RegistrationStore;
  registrationAccessTokens: RegistrationAccessTokens;
  clients: SelfAssertedClients;
  count: CountRegistration;
  readSoftwareStatement: ReadSoftwareStatement;
  clientSecretSealer: Sealer;
  clientInformation: ClientInformation;
  reporter: EventReporter;
  frame: EndpointFrame;
}

/** `GET`, `PUT` and `DELETE /register/:client_id`: a client manages its registration. @see RFC 7592 §2 */
export function createManagementEndpoint(options: ManagementEndpointOptions): RequestHandler {
  const { store, registrationAccessTokens, clientInformation, reporter, frame } = options;
  const update = createUpdate(options);

  return createEndpoint(
    frame,
    { name: 'registration', methods: ['GET', 'PUT', 'DELETE'], cors: true },
    async function manageRegistration(req, res, event) {
      const client = await authenticated(req);
      event.clientId = client.clientId;
      if (req.method === 'GET') return sendJson(res, clientInformation({ client }));
      if (client.registration === 'shared') throw refuseShared();
      if (req.method === 'PUT') return sendJson(res, clientInformation(await update(req, client)));
      await store.deleteClient(client.clientId);
      reporter.emit('client.deleted', { clientId: client.clientId });
      sendNothing(res);
    },
  );

  /** Returns the client of a request. A client that does not exist is refused like a wrong token (RFC 7592 §2.1). */
  async function authenticated(req: Request): Promise<ClientMetadata> {
    const { clientId = '' } = req.params as { clientId?: string };
    const presented = presentedToken(req);
    const isValid = presented && registrationAccessTokens.isValid(presented.token, clientId);
    const stored = isValid ? await store.getClient(clientId) : undefined;
    const client = stored && (withoutNulls(stored) as unknown as ClientMetadata);
    if (client?.registration !== undefined) return client;
    throw refusedToken(presented ? 'Bearer error="invalid_token"' : 'Bearer');
  }
}

/** Creates the function that replaces the metadata of a client as a whole (RFC 7592 §2.2). */
function createUpdate(options: ManagementEndpointOptions) {
  const { store, clients, count, readSoftwareStatement, clientSecretSealer, reporter } = options;

  return async (req: Request, client: ClientMetadata): Promise<RegisteredClient> => {
    const wire = await jsonBody(req);
    if (wire.client_id !== client.clientId)
      throw invalidClientMetadata('client_id differs from the registered one');
    await checkSecret(wire, client, req);
    const { metadata, softwareStatement } = await withStatement(wire, readSoftwareStatement);
    const { stored, clientSecret } = credentialsOf(metadata, client);
    const { clientId, clientIdIssuedAt, grantsNotBefore, registration } = client;
    const kept = { clientId, clientIdIssuedAt, grantsNotBefore, registration };
    const hasInitialAccessToken = registration === 'initial_access_token';
    const decided = { ...definedMembers(kept), clientId, ...stored, selfAsserted: !hasInitialAccessToken };
    const read = clients.read(metadata, decided, 'registration');
    if (!hasInitialAccessToken) await count(req);
    const next = await clients.approve(read, {
      source: 'registration',
      hasInitialAccessToken,
      softwareStatement,
    });
    const outcome = await createReplaceClient(store.setOnce, store.replaceClient)(client, next);
    if (outcome === 'changed elsewhere') throw temporarilyUnavailable('The client is being changed');
    // It may have been deleted meanwhile.
    if (outcome === 'gone') throw refusedToken('Bearer error="invalid_token"');
    reporter.emit('client.updated', { clientId });
    return { client: next, clientSecret, softwareStatement: wire.software_statement };
  };

  /** Keeps the secret of a client whose method stays the same, and creates one for a new method. */
  function credentialsOf(metadata: WireMetadata, client: ClientMetadata): ReturnType<typeof newCredentials> {
    const { clientSecretHash, clientSecretSealed, previousSecrets } = client;
    const previous = previousSecrets && { previousSecrets };
    const created = newCredentials(metadata.token_endpoint_auth_method, clientSecretSealer);
    const { clientSecretHash: newHash, clientSecretSealed: newSealed, ...chosen } = created.stored;
    if (clientSecretHash !== undefined && newHash !== undefined)
      return { stored: { ...chosen, clientSecretHash, ...previous }, clientSecret: undefined };
    if (clientSecretSealed !== undefined && newSealed !== undefined)
      return { stored: { ...chosen, clientSecretSealed, ...previous }, clientSecret: undefined };
    return created;
  }

  async function checkSecret(
    { client_secret: secret }: WireMetadata,
    client: ClientMetadata,
    req: Request,
  ): Promise<void> {
    if (secret === undefined) return;
    if (typeof secret !== 'string') throw invalidClientMetadata('client_secret must be a string');
    const hashes = asList(client.clientSecretHash).filter(isSecretHash);
    const sealed = asList(client.clientSecretSealed).map((text) => clientSecretSealer.open(text));
    const matches = await Promise.all(
      hashes.map((hash) => verifyClientSecret(secret, hash, networkOfSender(req))),
    );
    if (!matches.includes(true) && !sealed.some((known) => known === secret))
      throw invalidClientMetadata('client_secret must be the current secret');
  }
}

function refusedToken(challenge: string): OAuthError {
  return new OAuthError('invalid_token', 'The registration access token is not valid here', { challenge });
}

/** RFC 7592 §2.2 and §2.3: a client that is not allowed to change. */
function refuseShared(): OAuthError {
  const description =
    'This registration is shared by everybody who registered the same metadata: register again';
  return new OAuthError('access_denied', description, { status: 403 });
}

function sendNothing(res: Response): void {
  noStore(res);
  res.statusCode = 204;
  res.end();
}
