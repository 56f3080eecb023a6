import { parseSigningKey } from '../tokens/signing-key';
import { newSecret, newSigningKey } from './init';
import { UsageError } from './usage-error';

/** The variables that `init` prints, with whatever follows them. */
const VARIABLE = /^[ \t]*(?:export[ \t]+)?(OAUTH_(?:SECRET|SIGNING_KEY|RSA_KEY))[ \t]*=(.*)$/gm;
/** A value in the form that `init` prints, perhaps in quotes. Of other values nobody could tell where the next one begins. */
const VALUE = /^(?<quote>["']?)(?<value>[\w-]+)\k<quote>$/;
const SECRET = /^[\w-]{43}$/;

interface Rotation {
  readonly name: string;
  readonly current: string;
  readonly next: string;
}

/**
 * `keys rotate`: the steps of a rotation as lines for an environment file. In each step every process accepts what any process of the
 * step before and after it issues.
 *
 * @throws UsageError
 */
export function rotateKeys(environment: string): string {
  const rotations = [...environment.matchAll(VARIABLE)].map(([, name = '', text = '']) => {
    if (/^["']?[\w-]+,/.test(text.trim()))
      throw new UsageError(`${name} has two values: a rotation is under way, and is finished first`);
    const current = VALUE.exec(text.trim())?.groups?.value;
    if (current === undefined || (name === 'OAUTH_SECRET' && !SECRET.test(current)))
      throw new UsageError(
        `${name} is not in the form that init prints: put its successor beside it in the options, as another entry of the list`,
      );
    return { name, current, next: successorOf(name, current) };
  });
  if (rotations.length === 0)
    throw new UsageError('there is no OAUTH_SECRET, OAUTH_SIGNING_KEY or OAUTH_RSA_KEY in the input');
  const lines = (value: (rotation: Rotation) => string): string[] =>
    rotations.map((rotation) => `${rotation.name}=${value(rotation)}`);
  return `${[
    '# 1. Append. Deploy this to every process, and wait an hour: clients keep the key set for so long.',
    ...lines(({ current, next }) => `${current},${next}`),
    '',
    '# 2. Promote. Deploy this to every process.',
    ...lines(({ current, next }) => `${next},${current}`),
    '',
    '# 3. Remove: a signing key when the last token signed with it has expired (lifetimes.accessToken and lifetimes.idToken),',
    '#    a secret after refreshTokens.idleLifetime (absoluteLifetime if refresh tokens are not rotated). Before that, give clients',
    '#    with client_secret_jwt a new secret (client rotate-secret); clients that registered themselves read and change their',
    '#    registration with a token of the old secret until then.',
    ...lines(({ next }) => next),
  ].join('\n')}\n`;
}

/** Creates a value of the same kind. @throws UsageError */
function successorOf(name: string, current: string): string {
  if (name === 'OAUTH_SECRET') return newSecret();
  try {
    const { alg } = parseSigningKey(current);
    if (alg === 'ES256' || alg === 'RS256') return newSigningKey(alg);
    throw new Error(`is for ${alg}: create its successor as you created it`);
  } catch (error) {
    throw new UsageError(`${name} ${(error as Error).message}`);
  }
}
