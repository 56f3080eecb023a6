import { parseSigningKey } from '../tokens/signing-key';
import { newSecret, newSigningKey } from './init';
import { UsageError } from './usage-error';

/** The variables that `init` prints. */
const VARIABLE = /^(?:export )?(OAUTH_(?:SECRET|SIGNING_KEY|RSA_KEY))=["']?([^"'\n]*)["']?$/gm;

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
  const rotations = [...environment.matchAll(VARIABLE)].map(([, name = '', current = '']) => {
    if (current === '') throw new UsageError(`${name} is empty`);
    if (current.includes(','))
      throw new UsageError(`${name} has two values: a rotation is under way, and is finished first`);
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
    '#    a secret after refreshTokens.idleLifetime (absoluteLifetime if refresh tokens are not rotated).',
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
