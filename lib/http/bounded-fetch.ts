/** A multiple of the longest useful response of a provider, its key set. */
const MAXIMUM_RESPONSE_BYTES = 524_288;

/** Fetches a URL with the whole body of the response. @throws Error if the body is too long */
export async function boundedFetch(url: string, options?: RequestInit): Promise<Response> {
  const response = await fetch(url, options);
  const chunks: Uint8Array[] = [];
  let length = 0;
  const body: AsyncIterable<Uint8Array> | [] = response.body ?? [];
  for await (const chunk of body) {
    length += chunk.length;
    // Leaving the loop cancels the rest.
    if (length > MAXIMUM_RESPONSE_BYTES) throw new Error('the response is too long');
    chunks.push(chunk);
  }
  const headers = new Headers(response.headers);
  // These headers describe the body as it was transmitted.
  headers.delete('content-encoding');
  headers.delete('content-length');
  return new Response(length > 0 ? Buffer.concat(chunks) : null, { status: response.status, headers });
}
