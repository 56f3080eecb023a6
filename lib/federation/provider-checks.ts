import Joi from 'joi';

import { isJsonObject } from '../json';
import { uriWithoutFragment } from '../schemas';
import { VERIFICATION_ALGORITHMS } from '../tokens/algorithms';
import { PROVIDER_ID, STANDARD_CLAIM_NAMES, type Provider } from './provider';

/** The parameters that `authorizationParameters` must not contain: this server sets them itself, or does not use them. */
const OWN_PARAMETERS = [
  'client_id',
  'code_challenge',
  'code_challenge_method',
  'nonce',
  'redirect_uri',
  'request',
  'request_uri',
  'response_mode',
  'response_type',
  'scope',
  'state',
];

function providerSchema(allowHttp: boolean): Joi.Schema {
  const url = uriWithoutFragment(allowHttp ? ['https', 'http'] : ['https']);
  const common = {
    clientId: Joi.string().required(),
    clientSecret: Joi.alternatives(Joi.string(), Joi.function()),
    tokenEndpointAuthMethod: Joi.valid('client_secret_basic', 'client_secret_post', 'none'),
    scope: Joi.string().allow(''),
    allowExtraScopes: Joi.alternatives(Joi.boolean(), Joi.array().items(Joi.string()), Joi.function()),
    authorizationParameters: Joi.object(
      Object.fromEntries(OWN_PARAMETERS.map((name) => [name, Joi.forbidden()])),
    )
      .keys({ prompt: Joi.string().invalid('none') })
      .pattern(Joi.string(), Joi.string()),
    responseMode: Joi.valid('query', 'form_post'),
    pkce: Joi.boolean(),
    trustEmailVerified: Joi.boolean(),
    storeTokens: Joi.boolean(),
    timeout: Joi.number().positive().max(60),
  };
  const oidc = Joi.object({
    ...common,
    protocol: Joi.valid('oidc'),
    issuer: url.required(),
    userinfo: Joi.boolean(),
    scope: Joi.string().pattern(/(^| )openid( |$)/, 'openid'),
    idTokenSignedResponseAlg: Joi.valid(...VERIFICATION_ALGORITHMS),
  });
  const oauth2 = Joi.object({
    ...common,
    protocol: Joi.valid('oauth2'),
    authorizationEndpoint: url.required(),
    tokenEndpoint: url.required(),
    userinfo: Joi.alternatives(url, Joi.function()).required(),
    emails: url,
    claims: Joi.object(
      Object.fromEntries(Object.keys(STANDARD_CLAIM_NAMES).map((name) => [name, Joi.string()])),
    ),
    issuer: Joi.string(),
  });
  return Joi.alternatives().conditional(Joi.object({ protocol: 'oidc' }).unknown(), {
    then: oidc,
    otherwise: oauth2,
  });
}

/** Returns every fault of the providers, as sentences. */
export function providerFaults(
  providers: Readonly<Record<string, Provider>>,
  { allowHttp }: { allowHttp: boolean },
): string[] {
  if (providers instanceof Map || !isJsonObject(providers))
    return ['"federation.providers" must be an object of providers'];
  const schema = providerSchema(allowHttp);
  return Object.entries(providers).flatMap(([id, provider]) => {
    const label = `federation.providers.${id}`;
    if (!PROVIDER_ID.test(id))
      return [`"federation.providers" has the id ${id}: use letters, digits, - and _ only`];
    if (!['oidc', 'oauth2'].includes(String((provider as Provider | undefined)?.protocol))) {
      return [`"${label}" must come from oidcProvider() or oauth2Provider()`];
    }
    // An environment variable that is not set must not turn a confidential client into a public client.
    const unset = Object.entries<unknown>({ ...provider }).find(
      ([, value]) => value === undefined || value === '',
    );
    if (unset && unset[0] !== 'scope') return [`"${label}.${unset[0]}" is not set`];
    const { error } = schema.validate(provider, { abortEarly: false, convert: false });
    const { tokenEndpointAuthMethod: method = 'none', clientSecret } = provider;
    if (!error && method !== 'none' && clientSecret === undefined)
      return [`"${label}.clientSecret" is missing`];
    return error?.details.map(({ message }) => `${label}: ${message}`) ?? [];
  });
}
