import jwt from 'jsonwebtoken';

import { parseSigningKey, type SigningKey } from '../../lib/tokens/signing-key';
import { replaceable } from '../../lib/tokens/replaceable';
import { createSigningKeys } from '../../lib/tokens/signing-keys';
import { keyPair } from '../support/keys';
import { claimsOf, getTokens, makeHost, MOUNTS } from '../support/host';

describe('a key that is created when it is needed', () => {
  const es256 = parseSigningKey(keyPair().privateKey);

  function ring() {
    const created: string[] = [];
    let key: SigningKey | undefined;
    const create = (): SigningKey => {
      if (key) return key;
      key = parseSigningKey({ key: keyPair('RS256').privateKey, alg: 'RS256' });
      created.push(key.kid);
      return key;
    };
    const given = [es256, { alg: 'RS256', existing: () => key, create } as const];
    return {
      created,
      keys: createSigningKeys(replaceable(given)),
      others: createSigningKeys(replaceable(given)),
    };
  }

  it('is not created by signing and reading with another key', () => {
    const { created, keys } = ring();
    expect(keys.signer().alg).toBe('ES256');
    expect(keys.signer(['ES256']).alg).toBe('ES256');
    expect(keys.read('a.b.c', ['at+jwt'])).toBeUndefined();
    expect(keys.algorithms).toEqual(['ES256', 'RS256']);
    expect(keys.has('RS256')).toBe(true);
    expect(created).toEqual([]);
  });

  it('is created once, by the first signature or the first look at the key set', () => {
    const { created, keys } = ring();
    const { kid } = keys.signer(['RS256']);
    expect(keys.signer(['RS256']).kid).toBe(kid);
    expect(keys.published().map((jwk) => jwk.kid)).toEqual([es256.kid, kid]);
    expect(created).toEqual([kid]);

    const other = ring();
    const [, published] = other.keys.published();
    expect(other.keys.signer(['RS256']).kid).toBe(published!.kid);
  });

  it('that one router created verifies at the others, before they need it themselves', () => {
    const { keys, others } = ring();
    const { privateKey, kid } = keys.signer(['RS256']);
    const token = jwt.sign({ a: 1 }, privateKey, { algorithm: 'RS256', keyid: kid });
    expect(others.read(token, ['at+jwt', 'jwt'])).toMatchObject({ type: 'jwt', claims: { a: 1 } });
  });

  it('signs the ID tokens of development', async () => {
    const client = {
      clientId: 'web',
      clientSecret: 'web-secret',
      redirectUris: ['https://app.example.com/callback'],
    };
    const host = makeHost(MOUNTS[0]!, { clients: [{ ...client, scope: 'openid', firstParty: true }] });
    const tokens = (await getTokens(host)) as unknown as { id_token: string };
    const header = JSON.parse(Buffer.from(tokens.id_token.split('.')[0]!, 'base64url').toString()) as object;
    expect(header).toMatchObject({ alg: 'RS256' });
    expect(claimsOf(tokens.id_token).aud).toBe('web');
  });
});
