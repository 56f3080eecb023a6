import { randomUUID } from 'node:crypto';

import type { Store } from '../adapters/store';
import type { Client } from '../clients/client';
import type { ClientRegistry } from '../clients/registry';
import type { EventReporter } from '../event-reporter';
import type { Outbound } from '../http/outbound';
import { signJwt } from '../tokens/jwt';
import type { SigningKeys } from '../tokens/signing-keys';
import type { Subjects } from '../tokens/subject';
import { identifiersOf, readableGrants, type Grant } from '../grants/grant';
import { revoke } from '../grants/import-mark';
import { settledInParts } from '../grants/in-parts';
import type { Policies } from '../policy/policies';

/** A session that has ended: the hashed `sid`; without it, all sessions of the user. */
export interface EndedSession {
  readonly userId: string;
  readonly sid: string | undefined;
}

/**
 * Notifies a session's clients that the session has ended, and ends its grants with `openid`, except those with `offline_access`
 * (OpenID Connect Back-Channel Logout §2.5 and §2.7). A client that cannot be notified is reported as an event.
 */
export type SignOut = (session: EndedSession) => Promise<void>;

interface SignOutOptions {
  issuer: string;
  store: Store;
  registry: ClientRegistry;
  signingKeys: SigningKeys;
  subjects: Subjects;
  policies: Pick<Policies, 'idTokenAlgorithms'>;
  fetch: Outbound;
  clock: () => number;
  reporter: EventReporter;
}

/** OpenID Connect Back-Channel Logout §2.4 advises two minutes at most. Seconds. */
const LOGOUT_TOKEN_LIFETIME = 120;
const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout';

export function createSignOut(options: SignOutOptions): SignOut {
  const { issuer, store, registry, signingKeys, subjects, policies, fetch, clock, reporter } = options;

  return async ({ userId, sid }) => {
    const listed = (await store.listGrants?.(userId)) ?? [];
    const grants = readableGrants(listed, userId, reporter)
      .filter((grant) => grant.scope.includes('openid'))
      .filter((grant) => sid === undefined || grant.sid === sid);
    const clientIds = [...new Set(grants.map(({ clientId }) => clientId))];
    // A failure must not prevent the other clients from being notified, or the other grants from being ended.
    const [, results] = await Promise.all([
      settledInParts(clientIds, (clientId) => notify(clientId, userId, sid)),
      settledInParts(grants, end),
    ]);
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  };

  async function end(grant: Grant): Promise<void> {
    if (grant.scope.includes('offline_access')) return;
    if (await revoke(store, grant)) {
      reporter.emit('grant.revoked', { ...identifiersOf(grant), reason: 'the user signed out' });
    }
  }

  async function notify(clientId: string, userId: string, sid: string | undefined): Promise<void> {
    try {
      const record = await registry.find(clientId, { mayFetch: true, isUsed: true });
      const url = record?.client.backchannelLogoutUri;
      if (!record || url === undefined) return;
      const body = new URLSearchParams({ logout_token: logoutToken(record.client, userId, sid) }).toString();
      await fetch({
        method: 'POST',
        url,
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        body,
      });
      reporter.emit('backchannel_logout.sent', { clientId, userId });
    } catch (cause) {
      reporter.emit('backchannel_logout.failed', { clientId, userId, cause });
    }
  }

  /** OpenID Connect Back-Channel Logout §2.4 */
  function logoutToken(client: Client, userId: string, sid: string | undefined): string {
    const iat = Math.floor(clock() / 1000);
    const claims = {
      iss: issuer,
      sub: subjects.sub(client, userId),
      aud: client.clientId,
      iat,
      exp: iat + LOGOUT_TOKEN_LIFETIME,
      jti: randomUUID(),
      events: { [LOGOUT_EVENT]: {} },
      ...(sid !== undefined && { sid: subjects.sid(client, sid) }),
    };
    return signJwt(claims, signingKeys.signer(policies.idTokenAlgorithms(client)), 'logout+jwt');
  }
}
