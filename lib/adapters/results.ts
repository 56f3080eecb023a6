import { isJsonObject, withoutNulls } from '../json';
import type { Adapter, Consent, StoredGrant } from './contract';

/** The members of a grant's record that every record has. */
export interface GrantRecord extends StoredGrant {
  /** A random value for each write: a writer whose answer was lost recognizes its own write by it. */
  readonly attempt: string;
  readonly scope: readonly string[];
  /** The audiences (RFC 8707). */
  readonly resources: readonly string[];
  readonly createdAt: number;
  /** When the code was redeemed. */
  readonly redeemedAt?: number | undefined;
  /** When the refresh token was rotated. */
  readonly rotatedAt?: number | undefined;
}

/**
 * All members of a grant's record that this library writes. A record that is read gets them all, in this order: V8 then has one hidden class
 * for all records, without which Node 20 takes longer to copy a record than to parse it.
 */
const BLANK = {
  id: undefined,
  generation: undefined,
  attempt: undefined,
  clientId: undefined,
  userId: undefined,
  scope: undefined,
  resources: undefined,
  createdAt: undefined,
  expiresAt: undefined,
  absoluteExpiresAt: undefined,
  refreshExpiresAt: undefined,
  rotatedAt: undefined,
  redeemedAt: undefined,
  authTime: undefined,
  acr: undefined,
  amr: undefined,
  sid: undefined,
  nonce: undefined,
  claims: undefined,
  dpopJkt: undefined,
  confirmation: undefined,
  codeChallenge: undefined,
  redirectUri: undefined,
  redirectUriGiven: undefined,
  federation: undefined,
  isImported: undefined,
};

/** The name of a member of a grant's record. */
export type GrantMember = keyof typeof BLANK;

type Nothing = undefined | null;
type Check = (result: unknown, ...args: never[]) => unknown;

/** The clock of this process, which follows the arguments of the call: epoch milliseconds. */
export interface Moment {
  now(): number;
}

/**
 * Checks the result of each function of an adapter, and brings it into one form. A result that cannot be what was stored must not
 * decide about a request.
 *
 * @throws TypeError for any other result
 */
export const RESULTS = {
  getClient: (result: unknown): object | undefined => {
    if (isNothing(result) || isJsonObject(result)) return result ?? undefined;
    throw new TypeError('getClient() must return an object');
  },
  listClients: (result: unknown): readonly object[] => {
    if (Array.isArray(result) && result.every(isJsonObject)) return result;
    throw new TypeError('listClients() must return a list of objects');
  },
  getGrant: (result: unknown, grantId: string, { now }: Moment): GrantRecord | undefined =>
    isNothing(result) ? undefined : aged(grantRecord(result, grantId), ageOf(result), now()),
  listGrants: (result: unknown): readonly unknown[] => {
    if (Array.isArray(result)) return result;
    throw new TypeError('listGrants() must return a list');
  },
  getConsent: (result: unknown, userId: string, clientId: string): Consent | undefined =>
    isNothing(result) ? undefined : consentRecord(result, { userId, clientId }),
  replaceClient: (result: unknown): boolean => yesOrNo('replaceClient', result),
  extendClient: (result: unknown): boolean => yesOrNo('extendClient', result),
  advanceGrant: (result: unknown): boolean => yesOrNo('advanceGrant', result),
  revokeGrant: (result: unknown): boolean => yesOrNo('revokeGrant', result),
  setOnce: (result: unknown): boolean => yesOrNo('setOnce', result),
  get: (result: unknown): string | undefined => textOrNothing('get', result),
  take: (result: unknown): string | undefined => textOrNothing('take', result),
} satisfies Partial<Record<keyof Adapter, Check>>;

/** Reads a grant as an adapter returned it: a missing member may be `null`. @throws TypeError */
export function grantRecord(result: unknown, grantId: string): GrantRecord {
  const stored = isJsonObject(result) ? withoutAge(withoutNulls(result)) : {};
  const record: Record<string, unknown> = { ...BLANK, ...stored };
  const { id, generation, clientId, userId, expiresAt, attempt, scope, resources, createdAt } = record;
  const isValid =
    id === grantId &&
    Number.isSafeInteger(generation) &&
    typeof clientId === 'string' &&
    (userId === undefined || typeof userId === 'string') &&
    typeof attempt === 'string' &&
    Number.isFinite(expiresAt) &&
    Number.isFinite(createdAt) &&
    isTexts(scope) &&
    isTexts(resources);
  if (!isValid) throw new TypeError('the adapter did not return the grant that was stored');
  return record as unknown as GrantRecord;
}

/** The age is no part of the record. What `withAge` has added is not enumerable, so that no copy has it. */
function withoutAge(stored: Record<string, unknown>): Record<string, unknown> {
  if (!Object.prototype.propertyIsEnumerable.call(stored, 'age')) return stored;
  const { age: _, ...record } = stored;
  return record;
}

function ageOf(result: unknown): number | undefined {
  const { age } = result as { age?: unknown };
  if (isNothing(age)) return undefined;
  if (Number.isFinite(age)) return age as number;
  throw new TypeError('the age of a grant must be a number of milliseconds');
}

/**
 * Moves the moment when the stored generation began into the time of this process. The record has the moment at which its writer sent it:
 * by another clock, and maybe long before it was stored.
 */
function aged(stored: GrantRecord, age: number | undefined, now: number): GrantRecord {
  if (age === undefined) return stored;
  const since = now - Math.max(0, age);
  const { generation, rotatedAt, redeemedAt } = stored;
  if (generation > 1 && rotatedAt !== undefined) return { ...stored, rotatedAt: since };
  return generation === 1 && redeemedAt !== undefined ? { ...stored, redeemedAt: since } : stored;
}

function consentRecord(result: unknown, of: { userId: string; clientId: string }): Consent {
  const record = isJsonObject(result) ? result : {};
  const { userId, clientId, scope, resources, grantedAt } = record;
  const isValid =
    userId === of.userId &&
    clientId === of.clientId &&
    isTexts(scope) &&
    isTexts(resources) &&
    Number.isFinite(grantedAt);
  if (!isValid) throw new TypeError('the adapter did not return the consent that was stored');
  return record as unknown as Consent;
}

function yesOrNo(name: string, result: unknown): boolean {
  if (typeof result === 'boolean') return result;
  throw new TypeError(`${name}() must return true or false`);
}

function textOrNothing(name: string, result: unknown): string | undefined {
  if (isNothing(result) || typeof result === 'string') return result ?? undefined;
  throw new TypeError(`${name}() must return a string or nothing`);
}

function isNothing(result: unknown): result is Nothing {
  return result === undefined || result === null;
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((single) => typeof single === 'string');
}
