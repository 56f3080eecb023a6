import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/** The limits of requests to URLs that clients have registered. */
export interface OutboundOptions {
  /** Allows loopback, private and link-local addresses, and http. */
  allowPrivateAddresses: boolean;
  /** Resolves a host name. @defaultValue `dns.lookup` */
  lookup?: typeof dnsLookup;
}

export interface OutboundRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

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

/**
 * Sends requests to URLs in clients' metadata. The address is checked when the connection is made, so that a name cannot change
 * its address after the check. Redirects are not followed, and the environment's proxies are not used.
 */
export function createOutbound({ allowPrivateAddresses, lookup = dnsLookup }: OutboundOptions): Outbound {
  const guardedLookup: LookupFunction = (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error) return callback(error, []);
      const allowed = addresses.filter(({ address }) => allowPrivateAddresses || isPublicAddress(address));
      const [first] = allowed;
      if (!first) return callback(new Error(`${hostname} has no public address`), []);
      if (options.all) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };

  return ({ method, url, headers, body }) => {
    const { protocol, hostname } = new URL(url);
    const literal = hostname.replace(/^\[|\]$/g, '');
    if (protocol !== 'https:' && !(allowPrivateAddresses && protocol === 'http:')) {
      return Promise.reject(new Error('only https is allowed'));
    }
    // A literal address is checked here, because connecting to it needs no lookup.
    if (isIP(literal) && !allowPrivateAddresses && !isPublicAddress(literal)) {
      return Promise.reject(new Error(`${literal} is not a public address`));
    }
    return new Promise((resolve, reject) => {
      const send = protocol === 'https:' ? httpsRequest : httpRequest;
      const request = send(url, {
        method,
        headers: { ...headers, 'Accept-Encoding': 'identity' },
        agent: false,
        lookup: guardedLookup,
        signal: AbortSignal.timeout(TIMEOUT),
      });
      request.on('error', reject);
      // An exchange can also end without a response or an error: the connection is closed or upgraded.
      request.on('close', () => reject(new Error('the connection was closed')));
      request.on('upgrade', (_response, socket) => socket.destroy());
      request.on('response', (response) => {
        const { statusCode = 0 } = response;
        const chunks: Buffer[] = [];
        let length = 0;
        response.on('error', reject);
        response.on('data', (chunk: Buffer) => {
          length += chunk.length;
          if (length > MAXIMUM_RESPONSE_BYTES) request.destroy(new Error('the response is too long'));
          else chunks.push(chunk);
        });
        response.on('end', () => resolve(Buffer.concat(chunks).toString()));
        if (statusCode < 200 || statusCode > 299)
          request.destroy(new Error(`the response has status ${statusCode}`));
      });
      request.end(body);
    });
  };
}
