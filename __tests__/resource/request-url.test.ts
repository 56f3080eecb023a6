import type { Request } from 'express';

import { createVerifierUrl } from '../../lib/resource/request-url';

describe('the URL that a proof must be for, at an API in another process', () => {
  const at = (issuer: string, host: string | undefined): string =>
    createVerifierUrl({ issuer, audience: 'https://api.example.com' })({
      headers: { host },
      originalUrl: '/orders?page=2',
    } as Request);

  it('has the host of the request in development, if that is on loopback', () => {
    expect(at('http://localhost:3000', '127.0.0.1:4000')).toBe('http://127.0.0.1:4000/orders');
    expect(at('http://localhost:3000', '[::1]:4000')).toBe('http://[::1]:4000/orders');
  });

  it.each(['evil.example', '127.0.0.999', 'localhost:99999', 'localhost.evil.example', '', undefined])(
    'does not depend on the host %p',
    (host) => {
      expect(at('http://localhost:3000', host)).toBe('https://api.example.com/orders');
    },
  );

  it('never has the host of the request outside development', () => {
    expect(at('https://as.example.com', 'localhost:4000')).toBe('https://api.example.com/orders');
  });
});
