import type { Store } from '../adapters/store';
import type { KeepClient } from '../clients/keep-client';
import type { EventReporter } from '../event-reporter';
import type { Audiences } from '../policy/audiences';
import type { Policies } from '../policy/policies';
import type { GrantTokens } from '../tokens/grant-token';
import type { AnonymousSubjects } from './anonymous-subject';
import type { ImportedRefreshTokens } from './imported-refresh-token';
import type { TokenIssuer } from './issuer';

/** The parts that the grant types use. */
export interface GrantTypeOptions {
  store: Store;
  grantTokens: GrantTokens;
  issue: TokenIssuer;
  audiences: Audiences;
  policies: Policies;
  anonymousSubjects: AnonymousSubjects;
  keepClient: KeepClient;
  /** `undefined` if no refresh tokens of another server are taken. */
  importedRefreshTokens?: ImportedRefreshTokens | undefined;
  clock: () => number;
  reporter: EventReporter;
}
