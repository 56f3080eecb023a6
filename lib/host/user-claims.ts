import { scopeValues, type Client } from '../clients/client';
import { callForMembers, type Awaitable } from './call';
import { claimsOfScope, isStandardClaim, withoutLanguage } from './standard-claims';
import type { ExtraClaims } from './token-hooks';

/** Claims that the protocol defines in ID tokens and userinfo responses: a host cannot set them. */
const PROTOCOL_CLAIMS = scopeValues(
  'iss sub aud exp nbf iat jti auth_time nonce acr amr azp sid at_hash c_hash s_hash cnf events client_id scope',
);

/** The user whose claims are needed, and the place where they will appear. */
export interface UserClaimsContext<User> {
  /** The result of `loadUser`; `undefined` without it. */
  readonly user: User | undefined;
  /** The id of the user. */
  readonly userId: string;
  /** The client that will see the claims. */
  readonly client: Client;
  /** The scope values that were granted. */
  readonly scope: readonly string[];
  /** The document that will contain the claims. */
  readonly target: 'id_token' | 'userinfo';
}

/**
 * Returns all claims of a user. The standard claims (OpenID Connect Core §5.1) are then filtered: a userinfo response and an ID token
 * contain those that the scope covers or that the `claims` parameter requested for them; with `idTokenClaims: 'requested'`, an ID token
 * contains the latter only. All other claims always appear.
 */
export type UserClaimsHook<User> = (context: UserClaimsContext<User>) => Awaitable<ExtraClaims>;

/** Returns the claims of a user that a client may see. */
export type UserClaims<User> = (
  context: UserClaimsContext<User> & { requested: readonly string[] },
) => Promise<Readonly<Record<string, unknown>>>;

export function createUserClaims<User>(
  hook: UserClaimsHook<User> | undefined,
  { idTokenClaims }: { idTokenClaims: 'scope' | 'requested' },
): UserClaims<User> {
  if (!hook) return () => Promise.resolve({});
  return async ({ requested, ...context }) => {
    const claims = await callForMembers('userClaims', () => hook(context), PROTOCOL_CLAIMS);
    const { target, client } = context;
    const idTokenHas = client.metadata.idTokenClaims ?? idTokenClaims;
    const scope = target === 'userinfo' || idTokenHas === 'scope' ? context.scope : [];
    const visible = [...scope.flatMap(claimsOfScope), ...requested];
    const isVisible = (name: string): boolean =>
      visible.includes(name) || visible.includes(withoutLanguage(name)) || !isStandardClaim(name);
    return Object.fromEntries(
      Object.entries(claims).filter(
        ([name, value]) => value !== undefined && value !== null && isVisible(name),
      ),
    );
  };
}
