import { newAttempt, type Grant } from '../grants/grant';
import { refreshLifetimes, sessionLifetimes } from '../grants/lifetimes';
import type { GrantContext } from '../host/grant-context';
import type { Authentication } from '../host/user';
import type { Policies } from '../policy/policies';
import type { Confirmation } from '../tokens/access-token';
import { newGrantId } from '../tokens/grant-token';
import { boundTo } from './key-binding';

/** Creates the record of a grant that begins with a refresh token instead of a code. `now` is in epoch milliseconds. */
export function newRefreshableGrant(
  policies: Policies,
  now: number,
  request: {
    readonly context: GrantContext;
    readonly authentication?: Authentication | undefined;
    readonly confirmation?: Confirmation | undefined;
  },
): Grant {
  const { context, authentication, confirmation } = request;
  const { client, userId, scope, resources } = context;
  const lifetimes = refreshLifetimes(policies, context, now);
  return {
    id: newGrantId(),
    generation: 1,
    attempt: newAttempt(),
    clientId: client.clientId,
    userId,
    scope,
    resources,
    ...authentication,
    confirmation: boundTo(client, confirmation),
    createdAt: now,
    ...sessionLifetimes(policies, context, { sid: authentication?.sid, createdAt: now }, lifetimes),
  };
}
