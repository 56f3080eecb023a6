import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { gunzipSync } from 'node:zlib';

import { createBoundedBuffer } from './bounded-buffer';
import { createFairQueue } from './fair-queue';

/** The limits of requests to other servers. */
export interface OutboundOptions {
  /** Allows loopback, private and link-local addresses: for all hosts, or for those that a function allows. */
  allowPrivateAddresses: boolean | ((hostname: string) => boolean);
  /** Allows http. @defaultValue as `allowPrivateAddresses` */
  allowHttp?: boolean;
  /** The maximum length of a response's body. Bytes. @defaultValue `65536` */
  maximumLength?: number;
  /** How many requests run at once, and how many of them to one origin; the others wait. @defaultValue any number */
  concurrency?: { readonly all: number; readonly ofOrigin: number };
  /** Resolves a host name. @defaultValue `dns.lookup` */
  lookup?: typeof dnsLookup;
}

export interface OutboundRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** An exchange that was refused for what the other server is or says. Trying again would not help. */
export class RefusedExchange extends Error {}

/** Sends a request and returns the body of the response. @throws Error if the response is too long, too late or not 2xx */
export type Outbound = (request: OutboundRequest) => Promise<string>;

/** The time limit for the whole exchange. Milliseconds. */
const TIMEOUT = 5_000;
const MAXIMUM_RESPONSE_BYTES = 65_536;

/** Addresses that no public server has (RFC 6890 and its registries). */
const SPECIAL_IPV4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const;
/** Exceptions within the one public range: protocol assignments including Teredo, documentation, 6to4. */
const SPECIAL_IPV6 = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const;

const special = new BlockList();
for (const [network, prefix] of SPECIAL_IPV4) special.addSubnet(network, prefix, 'ipv4');
for (const [network, prefix] of SPECIAL_IPV6) special.addSubnet(network, prefix, 'ipv6');
const publicIpv6 = new BlockList();
publicIpv6.addSubnet('2000::', 3, 'ipv6');

/** Whether an address belongs to the public Internet. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 4) return !special.check(address, 'ipv4');
  return isIP(address) === 6 && publicIpv6.check(address, 'ipv6') && !special.check(address, 'ipv6');
}

/** Creates a function that sends requests to URLs in clients' metadata. */
export function createOutbound(options: OutboundOptions): Outbound {
  const exchange = createExchange(options);
  return async ({ url, ...request }) => {
    const { body } = await exchange(url, request, { acceptsStatus: isSuccess });
    return body.toString();
  };
}

/** Creates a `fetch` with the same limits. It never follows a redirect, and resolves when the whole body has arrived. */
export function createGuardedFetch(
  options: OutboundOptions,
): (url: string, request: GuardedFetchRequest) => Promise<Response> {
  const exchange = createExchange(options);
  return async (url, { method = 'GET', headers = {}, body, signal }) => {
    const text = body === undefined || body === null ? undefined : textOf(body);
    const request = { method, headers: Object.fromEntries(new Headers(headers)), body: text, signal };
    const { status, headers: received, body: bytes } = await exchange(url, request);
    const hasBody = bytes.length > 0 && !BODILESS.includes(status);
    return new Response(hasBody ? new Uint8Array(bytes) : null, { status, headers: received });
  };
}

/** The statuses of responses without a body, which `Response` refuses to combine with one. */
const BODILESS = [204, 205, 304];

/** The members of `RequestInit` that are supported. */
export interface GuardedFetchRequest {
  readonly method?: string;
  readonly headers?: RequestInit['headers'];
  readonly body?: unknown;
  readonly signal?: AbortSignal | null | undefined;
}

function textOf(body: unknown): string {
  if (typeof body === 'string' || body instanceof URLSearchParams) return body.toString();
  throw new TypeError('the body must be a text');
}

interface Exchanged {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

type Exchange = (
  url: string,
  request: {
    readonly method: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: string | undefined;
    readonly signal?: AbortSignal | null | undefined;
  },
  options?: { acceptsStatus: (status: number) => boolean },
) => Promise<Exchanged>;

/**
 * The address is checked when the connection is made, so that a name cannot change its address after the check. Redirects are not
 * followed, and the environment's proxies are not used.
 */
function createExchange(options: OutboundOptions): Exchange {
  const { allowPrivateAddresses, maximumLength = MAXIMUM_RESPONSE_BYTES, lookup = dnsLookup } = options;
  const allowsPrivate = (hostname: string): boolean =>
    typeof allowPrivateAddresses === 'function' ? allowPrivateAddresses(hostname) : allowPrivateAddresses;
  const allowsHttp = (hostname: string): boolean => options.allowHttp ?? allowsPrivate(hostname);

  const guardedLookup: LookupFunction = (hostname, lookupOptions, callback) => {
    lookup(hostname, { ...lookupOptions, all: true }, (error, addresses: LookupAddress[]) => {
      if (error) return callback(error, []);
      const allowed = addresses.filter(({ address }) => allowsPrivate(hostname) || isPublicAddress(address));
      const [first] = allowed;
      if (!first) return callback(new RefusedExchange(`${hostname} has no public address`), []);
      if (lookupOptions.all) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };

  function refusal({ protocol, hostname }: URL): string | undefined {
    const literal = hostname.replace(/^\[|\]$/g, '');
    if (protocol !== 'https:' && !(protocol === 'http:' && allowsHttp(hostname)))
      return 'only https is allowed';
    // A literal address is checked here, because connecting to it needs no lookup.
    return isIP(literal) && !allowsPrivate(hostname) && !isPublicAddress(literal)
      ? `${literal} is not a public address`
      : undefined;
  }

  const inTurn = createTurns(options.concurrency);

  return async (
    url,
    { method, headers, body, signal },
    { acceptsStatus } = { acceptsStatus: () => true },
  ) => {
    const target = new URL(url);
    const refused = refusal(target);
    if (refused !== undefined) throw new RefusedExchange(refused);
    const exchange = (): Promise<Exchanged> =>
      new Promise((resolve, reject) => {
        const send = target.protocol === 'https:' ? httpsRequest : httpRequest;
        const request = send(target, {
          method,
          headers: { ...headers, 'Accept-Encoding': 'identity' },
          agent: false,
          lookup: guardedLookup,
          signal: signal ?? AbortSignal.timeout(TIMEOUT),
        });
        request.on('error', reject);
        // An exchange can also end without a response or an error: the connection is closed or upgraded.
        request.on('close', () => reject(new Error('the connection was closed')));
        request.on('upgrade', (_response, socket) => socket.destroy());
        request.on('response', (response) => {
          const { statusCode: status = 0 } = response;
          const received = createBoundedBuffer(maximumLength);
          response.on('error', reject);
          response.on('data', (chunk: Buffer) => {
            if (!received.append(chunk)) request.destroy(new RefusedExchange('the response is too long'));
          });
          response.on('end', () => {
            const exchanged = (): Exchanged => ({
              status,
              headers: headersOf(response),
              body: decoded(response, received.bytes(), maximumLength),
            });
            // Its exception is the rejection.
            Promise.resolve().then(exchanged).then(resolve, reject);
          });
          if (!acceptsStatus(status)) request.destroy(new Error(`the response has status ${status}`));
        });
        request.end(body);
      });
    return inTurn(target.origin, exchange);
  };
}

/** How many requests wait for their turn, and how many of them for one origin. */
const MAXIMUM_WAITING = { all: 1000, ofOrigin: 200 };

/** Creates a function that runs exchanges, not too many of them at once: strangers choose the URLs in their metadata. */
function createTurns(
  concurrency: OutboundOptions['concurrency'],
): <T>(origin: string, exchange: () => Promise<T>) => Promise<T> {
  if (!concurrency) return (_origin, exchange) => exchange();
  const queue = createFairQueue({
    concurrent: concurrency.all,
    concurrentOfSubject: concurrency.ofOrigin,
    maximumLength: MAXIMUM_WAITING.all,
    maximumLengthOfSubject: MAXIMUM_WAITING.ofOrigin,
    full: () => new Error('too many requests wait for another server'),
  });
  return (origin, exchange) => queue({ subject: origin, source: '' }, exchange);
}

function isSuccess(status: number): boolean {
  return status >= 200 && status <= 299;
}

/** Decodes a body that the server compressed although nobody asked for it. @throws Error if it is too long, or of another coding */
function decoded({ headers }: IncomingMessage, body: Buffer, maximumLength: number): Buffer {
  const coding = (headers['content-encoding'] ?? 'identity').toLowerCase();
  if (coding === 'identity' || body.length === 0) return body;
  // RFC 9110 §8.4.1.3
  if (coding !== 'gzip' && coding !== 'x-gzip')
    throw new Error(`the response has the content coding ${coding}`);
  return gunzipSync(body, { maxOutputLength: maximumLength });
}

/** Headers that describe the body as it was transmitted. */
const TRANSMISSION_HEADERS = ['content-encoding', 'content-length', 'trailer', 'transfer-encoding'];

/** Returns the headers of the body as it was before it was transmitted. */
function headersOf({ headersDistinct }: IncomingMessage): Headers {
  const pairs = Object.entries(headersDistinct).flatMap(([name, values = []]) =>
    values.map((value): [string, string] => [name, value]),
  );
  const headers = new Headers(pairs);
  TRANSMISSION_HEADERS.forEach((name) => headers.delete(name));
  return headers;
}
