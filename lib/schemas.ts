import Joi from 'joi';

/** The schema of a secret that keys are derived from. */
export const secret: Joi.StringSchema = Joi.string()
  .min(32, 'utf8')
  .messages({ 'string.min': '{{#label}} must have at least {{#limit}} bytes' });

/** Creates the schema of a URI without a fragment. @param schemes the allowed schemes; any if left out */
export function uriWithoutFragment(schemes?: string[]): Joi.StringSchema {
  return Joi.string()
    .uri(schemes && { scheme: schemes })
    .pattern(/#/, { invert: true })
    .messages({ 'string.pattern.invert.base': '{{#label}} must not have a fragment' });
}

/** Creates a validator from a rule. The rule returns the fault of a value, as the end of a sentence. */
export function rule<T = unknown>(fault: (value: T) => string | undefined): Joi.CustomValidator<T> {
  return (value, { error }) => {
    const found = fault(value);
    return found === undefined ? value : error('rule.fault', { fault: found });
  };
}

/** The message of a broken {@link rule}. */
export const RULE_MESSAGES = { 'rule.fault': '{{#label}} {{#fault}}' };
