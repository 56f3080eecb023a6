import type { StoredGrant } from './contract';
import type { GrantMember } from './results';

/**
 * The names of the members of a grant's record, as they are kept: a live grant is small, and a server has many. Members that are not in the
 * table keep their names.
 */
const SHORT_NAMES = {
  attempt: 'a',
  clientId: 'c',
  userId: 'u',
  scope: 's',
  resources: 'r',
  createdAt: 'b',
  expiresAt: 'e',
  absoluteExpiresAt: 'x',
  refreshExpiresAt: 'f',
  rotatedAt: 'o',
  redeemedAt: 'd',
  authTime: 't',
  acr: 'q',
  amr: 'm',
  sid: 'i',
  nonce: 'n',
  claims: 'l',
  dpopJkt: 'j',
  confirmation: 'k',
  codeChallenge: 'h',
  redirectUri: 'w',
  redirectUriGiven: 'g',
  federation: 'p',
  isImported: 'z',
} as const satisfies Record<Exclude<GrantMember, 'id' | 'generation'>, string>;

const SHORT = new Map<string, string>(Object.entries(SHORT_NAMES));
const LONG = new Map([...SHORT].map(([name, short]) => [short, name]));
/** What precedes a member's own name, if it could be taken for a short one. */
const ESCAPE = '_';

/** Writes a grant without what the key and the header say: JSON. */
export function compactRecord(grant: StoredGrant): string {
  const members = { ...grant, id: undefined, generation: undefined };
  return JSON.stringify(renamed(members, (name) => SHORT.get(name) ?? escaped(name), {}));
}

/** Reads what `compactRecord` has written. */
export function expandedRecord(id: string, generation: number, record: string): StoredGrant {
  const members = JSON.parse(record) as Record<string, unknown>;
  return renamed(members, (name) => LONG.get(name) ?? unescaped(name), { id, generation }) as StoredGrant;
}

/** Adds members to an object, under other names. Returns the object. */
function renamed(
  members: Record<string, unknown>,
  nameOf: (name: string) => string,
  target: Record<string, unknown>,
): object {
  for (const name of Object.keys(members)) {
    if (members[name] !== undefined) target[nameOf(name)] = members[name];
  }
  return target;
}

function escaped(name: string): string {
  return LONG.has(name) || name.startsWith(ESCAPE) ? ESCAPE + name : name;
}

function unescaped(name: string): string {
  return name.startsWith(ESCAPE) ? name.slice(1) : name;
}
