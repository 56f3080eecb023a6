import { createHmac } from 'node:crypto';

/** How a client sees users: by their id, or by an identifier that no other sector shares (OpenID Connect Core §8). */
export type SubjectType = 'public' | 'pairwise';

/** Gives the `sub` of a user. No I/O. */
export type Subject = (
  client: { readonly subjectType: SubjectType; readonly sector: string },
  userId: string,
) => string;

/** @param pairwiseSecret must stay as it is: another one gives every user another `sub` */
export function subject(pairwiseSecret: string | undefined): Subject {
  return ({ subjectType, sector }, userId) => {
    if (subjectType === 'public') return userId;
    if (pairwiseSecret === undefined) throw new TypeError('"pairwiseSecret" is not set');
    // OpenID Connect Core §8.1. No sector, which is a host, holds the separator.
    return createHmac('sha256', pairwiseSecret).update(`${sector}\n${userId}`).digest('base64url');
  };
}
