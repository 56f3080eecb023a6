import type { Request } from 'express';

import { redirectUriFault, matchesRedirectUri } from '../../lib/clients/redirect-uris';
import { createClientSecretBasic } from '../../lib/clients/client-secret';
import { isScope, scopeValues } from '../../lib/clients/client';
import { claimsParameter } from '../../lib/authorization/claims-parameter';
import { bodyParameters } from '../../lib/http/body';
import { parametersOf, queryParameters } from '../../lib/http/parameters';
import { presentedToken } from '../../lib/resource/presented-token';
import { createBrowserBinding } from '../../lib/federation/browser-binding';
import { decodeJwt } from '../../lib/tokens/jwt';
import { canonicalBytes, createAuthenticator, createSealer } from '../../lib/tokens/keys';

const clientSecretBasic = createClientSecretBasic(() => Promise.resolve(false));

const KEY = Buffer.alloc(32, 1);
const binding = createBrowserBinding(
  createAuthenticator(() => [KEY]),
  { https: true },
);
const sealer = createSealer(() => [KEY]);

const withHeaders = (headers: Record<string, string>): Request => ({ headers }) as unknown as Request;
const withBody = (text: string, type: string): Request =>
  ({ headers: { 'content-type': type }, _body: true, body: text }) as unknown as Request;
const FORM = 'application/x-www-form-urlencoded';

/** Each parser, and the input that costs it the most: `n` is the number of repeated parts. */
const PARSERS: [name: string, parse: (n: number) => unknown][] = [
  [
    'Basic: blanks',
    (n) => clientSecretBasic(withHeaders({ authorization: `Basic${' '.repeat(n)}!` }), parametersOf([])),
  ],
  [
    'Basic: characters',
    (n) => clientSecretBasic(withHeaders({ authorization: `Basic ${'a'.repeat(n)} !` }), parametersOf([])),
  ],
  [
    'Basic: escapes',
    (n) =>
      clientSecretBasic(
        withHeaders({ authorization: `Basic ${Buffer.from('%2'.repeat(n)).toString('base64')}` }),
        parametersOf([]),
      ),
  ],
  ['Bearer: blanks', (n) => presentedToken(withHeaders({ authorization: `Bearer${' '.repeat(n)}!` }))],
  ['Bearer: characters', (n) => presentedToken(withHeaders({ authorization: `Bearer ${'a='.repeat(n)} !` }))],
  ['Bearer: padding', (n) => presentedToken(withHeaders({ authorization: `Bearer a${'='.repeat(n)}!` }))],
  [
    'parameters: names',
    (n) => queryParameters(`/?${Array.from({ length: n }, (_, i) => `p${i}=`).join('&')}`),
  ],
  ['parameters: values', (n) => parametersOf(Array.from({ length: n }, (_, i) => [`p${i}`, 'x'])).entries()],
  [
    'parameters: resources',
    (n) => parametersOf(Array.from({ length: n }, () => ['resource', 'x'])).entries(),
  ],
  [
    'JSON: strings',
    (n) => bodyParameters(withBody(`{"a":"${'\\"'.repeat(n)}"}`, 'application/json')).catch(String),
  ],
  [
    'JSON: blanks',
    (n) => bodyParameters(withBody(`{"a":"b"${' '.repeat(n)}}`, 'application/json')).catch(String),
  ],
  ['JSON: nested', (n) => bodyParameters(withBody('['.repeat(n), 'application/json')).catch(String)],
  [
    'content type',
    (n) => bodyParameters(withBody('a=b', `${FORM};${' '.repeat(n)}charset${' '.repeat(n)}`)).catch(String),
  ],
  [
    'content type: parts',
    (n) => bodyParameters(withBody('a=b', `${FORM}${'; charset='.repeat(n)}`)).catch(String),
  ],
  ['scope', (n) => [isScope('a '.repeat(n)), scopeValues('a '.repeat(n))]],
  ['redirect_uri: colons', (n) => redirectUriFault(`a${':'.repeat(n)}#`)],
  ['redirect_uri: loopback', (n) => matchesRedirectUri('http://127.0.0.1/cb', `http://${'1'.repeat(n)}`)],
  ['redirect_uri: brackets', (n) => matchesRedirectUri('http://[::1]/cb', `http://[${':'.repeat(n)}`)],
  [
    'claims',
    (n) => claimsParameter(`{"id_token":{${Array.from({ length: n }, (_, i) => `"c${i}":null`).join(',')}}}`),
  ],
  ['cookies', (n) => binding.isBound(withHeaders({ cookie: 'a=b; '.repeat(n) }), 'x'.repeat(43))],
  ['JWT: dots', (n) => decodeJwt('.'.repeat(n))],
  ['JWT: characters', (n) => decodeJwt(`${'a'.repeat(n)}.${'a'.repeat(n)}.`)],
  ['base64url', (n) => canonicalBytes('_'.repeat(n))],
  ['sealed text', (n) => sealer.open('A'.repeat(n))],
];

/** Returns the least CPU time of several runs: other work can only make a run longer. Microseconds. */
function shortest(run: () => unknown): number {
  const times = Array.from({ length: 15 }, () => {
    const before = process.cpuUsage();
    void run();
    return process.cpuUsage(before).user;
  });
  return Math.min(...times);
}

/** Less than this is noise, and no work. Quadratic work on the long input takes a hundred times as long. Microseconds. */
const NOISE = 1000;

describe('a parser’s work grows with its input, and no faster', () => {
  // One long input against eight short ones of the same length in all: quadratic work takes eight times as long.
  it.each(PARSERS)('%s', (_name, parse) => {
    const [short, long] = [4_000, 32_000];
    const ratio = (): number => {
      const parts = shortest(() => {
        for (let part = 0; part < long / short; part++) void parse(short);
      });
      return shortest(() => parse(long)) / Math.max(parts, NOISE);
    };
    // Other work on the machine may fall into all runs of one measurement, and quadratic work is in every one.
    const measured = [ratio()];
    while (measured.at(-1)! >= 4 && measured.length < 5) measured.push(ratio());
    expect(Math.min(...measured)).toBeLessThan(4);
  });
});
