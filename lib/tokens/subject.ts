import { createHmac } from 'node:crypto';

/** The kind of `sub` that a client sees: the user's id, or an identifier that no other sector shares (OpenID Connect Core §8). */
export type SubjectType = 'public' | 'pairwise';

interface SeenBy {
  readonly subjectType: SubjectType;
  /** A host. */
  readonly sector: string;
}

/** Returns the identifiers of users and sessions as a client sees them. No I/O. */
export interface Subjects {
  /** Returns the user's `sub`. */
  sub(client: SeenBy, userId: string): string;
  /** Returns the session's `sid`, which, like `sub`, must not show two sectors that they have the same user. */
  sid(client: SeenBy, sessionId: string): string;
}

/**
 * Creates the functions that compute `sub` and `sid`.
 *
 * @param pairwiseSecret must never change: a different secret gives every user a different `sub`
 */
export function createSubjects(pairwiseSecret: string | undefined): Subjects {
  function seen(kind: 'sub' | 'sid', { subjectType, sector }: SeenBy, name: string): string {
    if (subjectType === 'public') return name;
    if (pairwiseSecret === undefined) throw new TypeError('"pairwiseSecret" is not set');
    // OpenID Connect Core §8.1. No sector contains the separator.
    return createHmac('sha256', pairwiseSecret).update(`${kind}\n${sector}\n${name}`).digest('base64url');
  }

  return {
    sub: (client, userId) => seen('sub', client, userId),
    sid: (client, sessionId) => seen('sid', client, sessionId),
  };
}
