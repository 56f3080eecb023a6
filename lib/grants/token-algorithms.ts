import { SHARED_ALGORITHM } from '../tokens/algorithms';
import type { SigningKeys } from '../tokens/signing-keys';
import type { ResourceOptions } from './audiences';

/** By what access tokens are signed, for whom. */
export interface TokenAlgorithms {
  /** Whether the resource server of an audience has a secret that makes tokens for it. */
  isShared(audience: string): boolean;
  /** One of them signs a token for these audiences: by a secret only if all of them share it. */
  of(audiences: readonly string[]): readonly string[];
}

export function tokenAlgorithms(
  resources: readonly ResourceOptions[],
  { all, algorithms }: SigningKeys,
): TokenAlgorithms {
  const own = new Map(resources.map(({ identifier, signingAlgorithm }) => [identifier, signingAlgorithm]));
  const algorithmOf = (audience: string): string | undefined => own.get(audience) ?? all[0]?.alg;
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
