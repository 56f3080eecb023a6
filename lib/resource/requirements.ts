import Joi, { type ObjectSchema } from 'joi';

import { isScope, scopeValues } from '../clients/client';
import { OAuthConfigurationError } from '../errors';
import type { RouteFacts } from './challenge';
import type { StatusOf, TokenRequirements } from './token-check';

/** The options of `requireToken`. */
export interface RequireTokenOptions {
  /** The scope values that the token must have, separated by spaces or as a list. @defaultValue none */
  scope?: string | readonly string[];
  /**
   * The values of `acr`, of which the token must have one: how its user signed in. A client is told to request them with `acr_values`
   * (RFC 9470 §3). @defaultValue any
   */
  acr?: string | readonly string[];
  /** How long ago the user may have signed in. Seconds. A client is told to request `max_age` (RFC 9470 §3). @defaultValue any time */
  maxAge?: number;
  /** The audience that must be among the token's. @defaultValue the router's default audience, or the verifier's `audience` */
  audience?: string;
  /**
   * Also asks the store, or a verifier's `introspection`, whether the token was revoked, which costs one round trip.
   * @defaultValue `false`
   */
  checkRevocation?: boolean;
}

const scopeText = Joi.string().custom((value: string, { error }) =>
  isScope(value) ? value : error('any.invalid'),
);

/** A value of `acr_values`, which is a list with spaces; it is quoted in a challenge. */
const acrValue = Joi.string().pattern(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'acr value');

/** The schema of {@link RequireTokenOptions}. */
export const requirementsSchema = Joi.object({
  scope: Joi.alternatives(scopeText, Joi.array().items(scopeText)),
  acr: Joi.alternatives(acrValue, Joi.array().items(acrValue).min(1)),
  // 0 could never be met: the response takes a moment.
  maxAge: Joi.number().integer().min(1),
  audience: Joi.string(),
  checkRevocation: Joi.boolean(),
}).label('options');

/** Reads the options of the function `source`. @throws OAuthConfigurationError */
export type ReadRequirements = (
  source: string,
  given: RequireTokenOptions,
  schema: ObjectSchema,
) => TokenRequirements<unknown>;

export function createReadRequirements(options: {
  defaultAudience: string;
  /** Without it, `checkRevocation` is refused. */
  statusOf: StatusOf<unknown> | undefined;
  /** Returns the facts about an audience that challenges tell. */
  factsOf: (audience: string) => Omit<RouteFacts, 'scope'>;
  /** Receives the values of `acr` that are required. */
  knownAcr?: Set<string>;
  /** Returns the form of an audience that tokens have. */
  registered?: (audience: string) => string;
  /** Warns about an audience that no token has. */
  warn?: (source: string, audience: string) => void;
}): ReadRequirements {
  const { defaultAudience, statusOf, factsOf, knownAcr, warn } = options;
  const { registered = (audience: string): string => audience } = options;

  return (source, given, schema) => {
    const { error } = schema.validate(given, { abortEarly: false, convert: false });
    if (error)
      throw new OAuthConfigurationError(
        error.details.map(({ message }) => message),
        source,
      );
    const { scope = [], acr, maxAge, audience: named = defaultAudience, checkRevocation = false } = given;
    const audience = registered(named);
    warn?.(source, audience);
    if (checkRevocation && !statusOf)
      throw new OAuthConfigurationError(['"checkRevocation" needs "introspection"'], source);
    const acrValues = typeof acr === 'string' ? [acr] : acr;
    acrValues?.forEach((value) => knownAcr?.add(value));
    const needed = typeof scope === 'string' ? scopeValues(scope) : scope;
    return {
      ...factsOf(audience),
      scope: needed,
      acr: acrValues,
      maxAge,
      audience,
      statusOf: checkRevocation ? statusOf : undefined,
    };
  };
}
