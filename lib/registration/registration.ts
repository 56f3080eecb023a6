import type { Store } from '../adapters/store';
import type { SelfAssertedClients } from '../clients/self-asserted';
import type { EventReporter } from '../event-reporter';
import type { Outbound } from '../http/outbound';
import type { Sealer, Secrets } from '../tokens/keys';
import { createRegistrationAccessTokens } from './access-tokens';
import type { VerifyInitialAccessToken } from './endpoint';
import { createClientInformation } from './information';
import { createCountRegistration, type RegistrationSource } from './limit';
import { createRegister, type RegistrationStore } from './register';
import { createReadSoftwareStatement, type SoftwareStatementKeys } from './software-statement';

/** Creates the parts of dynamic client registration. */
export function createRegistration(options: {
  registration: {
    open: boolean;
    initialAccessToken: VerifyInitialAccessToken | undefined;
    limit: number;
    sourceOf: RegistrationSource | undefined;
    unusedLifetime: number;
    softwareStatementIssuers: Readonly<Record<string, SoftwareStatementKeys>>;
  };
  issuer: string;
  secrets: Secrets;
  url: (endpoint: 'register') => string;
  /** The options were checked: the adapter has the functions of a registration. */
  store: Store;
  selfAssertedClients: SelfAssertedClients;
  clientSecretSealer: Sealer;
  fetch: Outbound;
  clock: () => number;
  reporter: EventReporter;
}) {
  const {
    registration,
    issuer,
    secrets,
    url,
    selfAssertedClients,
    clientSecretSealer,
    fetch,
    clock,
    reporter,
  } = options;
  const { open, initialAccessToken, limit, sourceOf, unusedLifetime, softwareStatementIssuers } =
    registration;
  const store = options.store as RegistrationStore;
  const registrationAccessTokens = createRegistrationAccessTokens(secrets, issuer);
  const readSoftwareStatement = createReadSoftwareStatement({
    issuers: softwareStatementIssuers,
    fetch,
    clock,
  });
  const count = createCountRegistration({ limit, sourceOf, store, clock });
  const clients = selfAssertedClients;
  const parts = { store, clients, count, readSoftwareStatement, clientSecretSealer, clock, reporter };
  return {
    ...parts,
    registrationAccessTokens,
    clientInformation: createClientInformation({ registerUrl: url('register'), registrationAccessTokens }),
    register: createRegister({ ...parts, unusedLifetime }),
    isOpen: open,
    verifyInitialAccessToken: initialAccessToken,
  };
}
