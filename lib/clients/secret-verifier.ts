import type { ClientMetadata } from '../adapters/contract';
import type { Store } from '../adapters/store';
import { serverError } from '../errors';
import { callHostWith, type Awaitable } from '../host/call';
import type { NetworkOfSender } from '../http/network';
import { withoutNulls } from '../json';
import { asList, type ClientRecord } from './client';
import { createReplaceClient } from './replace-client';
import { isSecretHash, rehashClientSecret, verifyClientSecret, verifyInTurn } from './secret-hashes';

/**
 * Compares a client's secret with a hash of another kind, such as bcrypt, argon2 or PBKDF2. It is asked about each `clientSecretHash` that
 * `hashClientSecret()` has not made. After the first success a client of the adapter is stored with a hash of this library.
 */
export type VerifyClientSecret = (clientSecret: string, hash: string) => Awaitable<boolean>;

/** Whether a secret is one of a client's. */
export type VerifySecret = (
  clientSecret: string,
  record: ClientRecord,
  source: NetworkOfSender,
) => Promise<boolean>;

export function createVerifySecret({
  verifyForeign,
  store,
}: {
  /** The host's function for hashes of another kind. */
  verifyForeign: VerifyClientSecret | undefined;
  store: Pick<Store, 'getClient' | 'setOnce'> & Partial<Pick<Store, 'saveClient' | 'replaceClient'>>;
}): VerifySecret {
  return async (clientSecret, { client, secretHashes }, source) => {
    for (const hash of secretHashes) {
      if (isSecretHash(hash)) {
        if (await verifyClientSecret(clientSecret, hash, source)) return true;
      } else if (verifyForeign && (await matches(verifyForeign, clientSecret, hash, source))) {
        // Whatever happens, the client has authenticated.
        await rehash(client.clientId, hash, clientSecret, source).catch(() => undefined);
        return true;
      }
    }
    return false;
  };

  /** Replaces a hash of a stored client. */
  async function rehash(
    clientId: string,
    foreign: string,
    clientSecret: string,
    source: NetworkOfSender,
  ): Promise<void> {
    const { replaceClient, saveClient } = store;
    const save = replaceClient ?? (saveClient && ((client) => saveClient(client).then(() => true)));
    if (!save || !(await hasHash(clientId, foreign))) return;
    const own = await rehashClientSecret(clientSecret, foreign, source);
    // Hashing takes a while: the client may have got another secret meanwhile.
    const stored = await hasHash(clientId, foreign);
    if (!stored) return;
    const hashes = asList(stored.clientSecretHash).map((hash) => (hash === foreign ? own : hash));
    await createReplaceClient(store.setOnce, save)(stored, { ...stored, clientSecretHash: hashes });
  }

  /** Returns the stored client, if it has a hash. */
  async function hasHash(clientId: string, hash: string): Promise<ClientMetadata | undefined> {
    const stored = await store.getClient(clientId);
    const client = stored && (withoutNulls(stored) as unknown as ClientMetadata);
    return asList(client?.clientSecretHash).includes(hash) ? client : undefined;
  }
}

/** Asks the host in turn, as for our own slow hashes: guesses must not hold up others. @throws OAuthError `server_error` */
async function matches(
  verify: VerifyClientSecret,
  clientSecret: string,
  hash: string,
  source: NetworkOfSender,
): Promise<boolean> {
  const result: unknown = await verifyInTurn(hash, source, () =>
    callHostWith([clientSecret, hash], () => verify(clientSecret, hash)),
  );
  if (typeof result === 'boolean') return result;
  throw serverError(new TypeError('verifyClientSecret must return true or false'));
}
