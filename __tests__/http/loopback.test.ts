import { isLoopbackHost, isLoopbackUrl } from '../../lib/http/loopback';
import { isNativeRedirectUri, matchesRedirectUri, redirectUriFault } from '../../lib/clients/redirect-uris';

describe('loopback (RFC 8252 §7.3)', () => {
  it.each(['localhost', '127.0.0.1', '127.1.2.3', '[::1]'])('%s is this machine', (host) => {
    expect(isLoopbackHost(host)).toBe(true);
    expect(isLoopbackUrl(`http://${host}:3000/a`)).toBe(true);
    expect(isNativeRedirectUri(`http://${host}/cb`)).toBe(true);
    expect(redirectUriFault(`http://${host}/cb`)).toBeUndefined();
    expect(matchesRedirectUri(`http://${host}/cb?a=1`, `http://${host}:4711/cb?a=1`)).toBe(true);
  });

  it.each([
    'localhost.example.com',
    '127.0.0.1.example.com',
    'example.com',
    '128.0.0.1',
    '[::2]',
    'localhost@example.com',
    '',
  ])('%j is not', (host) => {
    expect(isLoopbackHost(host)).toBe(false);
    expect(isLoopbackUrl(`http://${host}/`)).toBe(false);
    expect(redirectUriFault(`http://${host}/cb`)).not.toBeUndefined();
  });

  it.each([
    ['another host of this machine', 'http://127.0.0.1/cb', 'http://127.0.0.2/cb'],
    ['localhost for an address', 'http://127.0.0.1/cb', 'http://localhost/cb'],
    ['https', 'http://localhost/cb', 'https://localhost:1/cb'],
    ['another path', 'http://localhost/cb', 'http://localhost:1/cb/'],
    ['a port that is none', 'http://localhost/cb', 'http://localhost:65536/cb'],
    ['user information', 'http://localhost/cb', 'http://localhost:1@evil.example/cb'],
  ])('the port is free, but %s does not match', (_name, registered, given) => {
    expect(matchesRedirectUri(registered, given)).toBe(false);
  });
});
