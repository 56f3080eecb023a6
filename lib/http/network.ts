import { isIP } from 'node:net';

import type { Request } from 'express';

/** Returns the network that a request came from. */
export type NetworkOfSender = () => string;

/** Most requests wait in no queue, and Express determines the address anew for each that asks: so it is determined only then. */
export function networkOfSender(req: Pick<Request, 'ip'> & { socket?: Request['socket'] }): NetworkOfSender {
  // Node keeps the address from the first time that it is read, and does not know it once the socket is closed. Without a server there may
  // be no socket.
  const remoteAddress = req.socket?.remoteAddress;
  return () => networkOf(req.ip ?? remoteAddress);
}

/** IPv4 addresses in IPv6 (RFC 4291 §2.5.5.2, RFC 6052 §2.1). */
const EMBEDDED = /^(?:0:0:0:0:0:ffff|64:ff9b:0:0:0:0):([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;

/**
 * Returns the network of an address: whoever has one address of it usually has all of them. A /64 for IPv6, a /24 for IPv4; any other
 * text is a network of its own.
 */
export function networkOf(address = ''): string {
  if (isIP(address) === 4) return address.split('.').slice(0, 3).join('.');
  if (isIP(address) !== 6) return address;
  const groups = groupsOf(address);
  const [matched, high = '', low = ''] = EMBEDDED.exec(groups.join(':')) ?? [];
  if (matched === undefined) return groups.slice(0, 4).join(':');
  const [first, second] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [first >> 8, first & 0xff, second >> 8].join('.');
}

/** Returns the eight groups of an IPv6 address, without leading zeros. */
function groupsOf(address: string): string[] {
  const [plain = ''] = address.split('%', 1);
  // The URL standard has one form for each address: in hexadecimal, lower case, compressed.
  const [head = '', tail] = new URL(`http://[${plain}]`).hostname.slice(1, -1).split('::');
  const start = head.split(':').filter((group) => group !== '');
  const end = tail?.split(':').filter((group) => group !== '') ?? [];
  return [...start, ...Array.from({ length: 8 - start.length - end.length }, () => '0'), ...end];
}
