import { redisAdapter } from 'express-oauth-router';

/** Typed loosely: these are the mistakes of people without a compiler. */
const adapterOf = (client: unknown) => (): unknown => redisAdapter(client as never);

describe('redisAdapter', () => {
  it.each([
    ['a URL', 'redis://localhost', /not a URL: redisAdapter\(new Redis\(url\)\)/],
    ['a URL object', new URL('redis://localhost'), /not a URL/],
    ['nothing', undefined, /takes a client of the package ioredis, not undefined/],
    ['null', null, /not null/],
    ['an empty object', {}, /has no defineCommand/],
    [
      'a client of the package redis',
      { sendCommand: () => undefined, isOpen: false },
      /another package, such as redis/,
    ],
    ['a function', () => undefined, /takes a client of the package ioredis/],
  ])('says what is wrong with %s', (_name, client, message) => {
    expect(adapterOf(client)).toThrow(TypeError);
    expect(adapterOf(client)).toThrow(message);
  });
});
