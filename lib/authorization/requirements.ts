import { authTimeOf, userIdOf, type OAuthUser } from '../host/user';
import type { Subjects } from '../tokens/subject';
import type { Decision } from './arrival';
import type { Progress } from './progress';
import type { AuthorizationRequest } from './request';

/** How long a sign-in counts as fresh. Seconds. */
const GRACE = 900;
/** How far a provider's clock may differ. Seconds. */
const CLOCK_SKEW = 30;

/** The requirement of a request that its user does not meet. */
export type UnmetRequirement = 'authTime' | 'acr' | 'user';

/**
 * Whether a request prefers another kind of sign-in than the user's (RFC 9470 §4). The user is asked once: a client that insists on it
 * requests `acr` as an essential claim. Values that the host does not know do no harm.
 */
export function prefersOtherAcr(
  { acr }: OAuthUser,
  { acrValues }: AuthorizationRequest,
  knownAcr: ReadonlySet<string>,
): boolean {
  const isKnown = acrValues.some((value) => knownAcr.has(value));
  return isKnown && !acrValues.some((value) => value === acr);
}

/** Returns the first requirement of a request that a user does not meet (OpenID Connect Core §3.1.2.1 and §3.1.2.3). */
export function unmetRequirement(
  user: OAuthUser,
  request: AuthorizationRequest,
  progress: Progress,
  { decision, now, subjects }: { decision?: Decision | undefined; now: number; subjects: Subjects },
): UnmetRequirement | undefined {
  const { client, expectedSubs } = request;
  const { essentialAcr } = request.claims;
  const userId = userIdOf(user, client);
  // A consent decision implies that the sign-in was already fresh enough.
  if (decision?.userId !== userId && !isTimely(user, request, progress, now)) return 'authTime';
  if (essentialAcr.length > 0 && !essentialAcr.includes(user.acr ?? '')) return 'acr';
  const sub = subjects.sub(client, userId);
  return expectedSubs.every((subs) => subs.includes(sub)) ? undefined : 'user';
}

/** Whether a sign-in meets `prompt=login` and `max_age`: it is newer than the request or, for `max_age` alone, recent enough. */
function isTimely(
  user: OAuthUser,
  { prompt, maxAge }: AuthorizationRequest,
  { startedAt, detours, providerUser }: Progress,
  now: number,
): boolean {
  const authTime = authTimeOf(user) ?? -Infinity;
  const age = now / 1000 - authTime;
  const skew = providerUser ? CLOCK_SKEW : 0;
  const isNew = detours > 0 && authTime + skew >= Math.floor(startedAt / 1000);
  if (isNew && age <= Math.max(maxAge ?? 0, GRACE)) return true;
  return !prompt.includes('login') && maxAge !== 0 && age <= (maxAge ?? Infinity);
}
