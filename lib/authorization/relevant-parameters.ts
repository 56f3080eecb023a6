import { only, type Parameters } from '../http/parameters';
import { namesProvider, PROVIDER_PARAMETERS, type Providers } from './provider-parameters';
import { REQUEST_PARAMETERS } from './request';

/** Keeps only the parameters that a request uses. Others, above all `token` without a provider, are never stored. */
export function relevantParameters(parameters: Parameters, providers: Providers): Parameters {
  const further = namesProvider(parameters, providers) ? PROVIDER_PARAMETERS : [];
  return only(parameters, [...REQUEST_PARAMETERS, ...further]);
}
