import type { NetworkOfSender } from '../http/network';
import type { Parameters } from '../http/parameters';
import type { ClientAuthenticationMethod } from './authentication-method';
import type { ClientRecord } from './client';
import type { ClientIdentification } from './identification';
import type { VerifySecret } from './secret-verifier';

/** Credentials for HTTP Basic, well-formed or not. */
const SCHEME = /^basic(\s|$)/i;
const BASIC = /^basic +([a-z0-9+/_=-]+) *$/i;

/**
 * Creates the method that reads the credentials of `client_secret_basic`. They are form-encoded before Base64. `curl -u` and other
 * clients do not encode them, so the raw text is tried second.
 *
 * @see RFC 6749 §2.3.1
 */
export function createClientSecretBasic(verify: VerifySecret): ClientAuthenticationMethod {
  return (req) => {
    const { authorization = '' } = req.headers;
    if (!SCHEME.test(authorization)) return undefined;
    const text = Buffer.from(BASIC.exec(authorization)?.[1] ?? '', 'base64').toString();
    const colon = text.indexOf(':');
    const raw = { clientId: text.slice(0, Math.max(colon, 0)), clientSecret: text.slice(colon + 1) };
    const decoded = { clientId: formDecoded(raw.clientId), clientSecret: formDecoded(raw.clientSecret) };
    const pairs = [decoded, raw].filter(
      (pair): pair is typeof raw => pair.clientId !== undefined && pair.clientSecret !== undefined,
    );
    // RFC 6749 §2.3.1: a client without a secret may leave it empty, and proves nothing.
    const isEmpty = colon >= 0 && raw.clientSecret === '';
    return {
      methods: isEmpty ? ['none'] : ['client_secret_basic'],
      clientIds: [...new Set(pairs.map(({ clientId }) => clientId))],
      challenge: 'Basic realm="OAuth"',
      fault: (record, source) => {
        if (isEmpty) return Promise.resolve(undefined);
        const secrets = pairs.filter(({ clientId }) => clientId === record.client.clientId);
        const distinct = new Set(secrets.map(({ clientSecret }) => clientSecret));
        return secretFault(verify, [...distinct], record, source);
      },
    };
  };
}

/**
 * Creates the method for `client_secret_post`. A public client's `client_secret` is a publishable key, which is checked
 * elsewhere.
 */
export function createClientSecretPost(
  identification: ClientIdentification,
  verify: VerifySecret,
): ClientAuthenticationMethod {
  return (req, parameters: Parameters) => {
    const clientSecret = parameters.get('client_secret');
    if (clientSecret === undefined) return undefined;
    return {
      methods: ['client_secret_post', 'none'],
      clientIds: [identification.clientId(req, parameters) ?? ''],
      fault: (record, source) =>
        record.client.confidential
          ? secretFault(verify, [clientSecret], record, source)
          : Promise.resolve(undefined),
    };
  };
}

async function secretFault(
  verify: VerifySecret,
  secrets: readonly string[],
  record: ClientRecord,
  source: NetworkOfSender,
): Promise<string | undefined> {
  for (const secret of secrets) {
    if (await verify(secret, record, source)) return undefined;
  }
  return 'wrong credentials';
}

/** Decodes application/x-www-form-urlencoded text. Returns `undefined` if the text is not valid. */
function formDecoded(text: string): string | undefined {
  if (!/[%+]/.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}
