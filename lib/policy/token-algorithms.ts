import { SHARED_ALGORITHM } from '../tokens/algorithms';
import type { SigningKeys } from '../tokens/signing-keys';
import type { ResolvedResource } from './audiences';

/** The algorithms that sign access tokens, by audience. */
export interface TokenAlgorithms {
  /** Whether the resource server of an audience holds a secret that signs tokens for it. */
  isShared(audience: string): boolean;
  /** Returns the algorithms of which one signs a token for these audiences: a shared secret only if all of them share it. */
  of(audiences: readonly string[]): readonly string[];
}

export function createTokenAlgorithms(
  resources: readonly ResolvedResource[],
  { first, algorithms }: Pick<SigningKeys, 'first' | 'algorithms'>,
): TokenAlgorithms {
  const own = new Map(resources.map(({ identifier, signingAlgorithm }) => [identifier, signingAlgorithm]));
  const algorithmOf = (audience: string): string | undefined => own.get(audience) ?? first?.alg;
  const isShared = (audience: string): boolean => algorithmOf(audience) === SHARED_ALGORITHM;

  return {
    isShared,
    of: (audiences) => {
      if (audiences.every(isShared)) return [SHARED_ALGORITHM];
      const wanted = audiences.flatMap((audience) => own.get(audience) ?? []);
      const verifiable = wanted.filter((alg) => alg !== SHARED_ALGORITHM);
      return verifiable.length > 0 ? verifiable : algorithms;
    },
  };
}
