import Joi, { type ObjectSchema } from 'joi';

import { isScope, scopeValues } from '../clients/client';
import { OAuthConfigurationError } from '../errors';
import type { StatusOf, TokenRequirements } from './token-check';

/** The options of `requireToken`. */
export interface RequireTokenOptions {
  /** The scope values that the token must have, separated by spaces or as a list. @defaultValue none */
  scope?: string | readonly string[];
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

/** The schema of {@link RequireTokenOptions}. */
export const requirementsSchema = Joi.object({
  scope: Joi.alternatives(scopeText, Joi.array().items(scopeText)),
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
}): ReadRequirements {
  const { defaultAudience, statusOf } = options;

  return (source, given, schema) => {
    const { error } = schema.validate(given, { abortEarly: false, convert: false });
    if (error)
      throw new OAuthConfigurationError(
        error.details.map(({ message }) => message),
        source,
      );
    const { scope = [], audience = defaultAudience, checkRevocation = false } = given;
    if (checkRevocation && !statusOf)
      throw new OAuthConfigurationError(['"checkRevocation" needs "introspection"'], source);
    const needed = typeof scope === 'string' ? scopeValues(scope) : scope;
    return { scope: needed, audience, statusOf: checkRevocation ? statusOf : undefined };
  };
}
