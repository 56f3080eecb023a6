/** Collects the chunks of a body. */
export interface BoundedBuffer {
  /** Appends a chunk. Returns `false`, and keeps nothing more, if the body is too long. */
  append(chunk: Uint8Array): boolean;
  /** Returns everything that was appended. */
  bytes(): Buffer;
}

/** A short body is the usual one. Bytes. */
const INITIAL_LENGTH = 1024;

/**
 * Creates a buffer that grows to at most `maximum` bytes. The chunks themselves are not kept: each would cost a hundred bytes more
 * than it contains, and the sender chooses their number.
 */
export function createBoundedBuffer(maximum: number): BoundedBuffer {
  let buffer = Buffer.allocUnsafe(0);
  let length = 0;

  function append(chunk: Uint8Array): boolean {
    const needed = length + chunk.length;
    if (needed > maximum) {
      buffer = Buffer.allocUnsafe(0);
      length = maximum + 1;
      return false;
    }
    if (needed > buffer.length) {
      const larger = Buffer.allocUnsafe(
        Math.min(maximum, Math.max(needed, 2 * buffer.length, INITIAL_LENGTH)),
      );
      buffer.copy(larger, 0, 0, length);
      buffer = larger;
    }
    buffer.set(chunk, length);
    length = needed;
    return true;
  }

  return { append, bytes: () => buffer.subarray(0, length) };
}
