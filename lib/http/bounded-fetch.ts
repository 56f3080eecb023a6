/** Bytes: the longest answer of a provider that makes sense, its keys, is a fraction of it. */
const MAXIMUM_LENGTH = 524_288;

/** As `fetch`, with the whole of a short answer. @throws Error if the answer is longer */
export async function boundedFetch(url: string, options?: RequestInit): Promise<Response> {
  const response = await fetch(url, options);
  const chunks: Uint8Array[] = [];
  let length = 0;
  const body: AsyncIterable<Uint8Array> | [] = response.body ?? [];
  for await (const chunk of body) {
    length += chunk.length;
    // Leaving the loop cancels the rest.
    if (length > MAXIMUM_LENGTH) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  const headers = new Headers(response.headers);
  // They were about what came over the wire.
  headers.delete('content-encoding');
  headers.delete('content-length');
  return new Response(length > 0 ? Buffer.concat(chunks) : null, { status: response.status, headers });
}
