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

const LOG_FUNCTIONS = ['error', 'warn', 'info', 'debug'] as const;

/** The schema of a logger. It is not copied: a logger may be an instance of a class. */
export const logger: Joi.Schema = Joi.custom(
  rule((value) => {
    if (value === false) return undefined;
    const functions = Object(value) as Partial<Record<string, unknown>>;
    const lacking = LOG_FUNCTIONS.filter((name) => typeof functions[name] !== 'function');
    return lacking.length === 0
      ? undefined
      : `lacks ${lacking.join(', ')}: give console, a logger of pino, or false`;
  }),
).messages(RULE_MESSAGES);
