import { randomBytes } from 'node:crypto';

import { createAuthenticator, canonicalBytes, deriveKeys, type Secrets } from './keys';

const ID_LENGTH = 16;
const GENERATION_LENGTH = 6;
const MAC_LENGTH = 32;
const BODY_LENGTH = ID_LENGTH + GENERATION_LENGTH;
/** 54 bytes fill 72 characters of base64url without a spare bit. */
const TOKEN_LENGTH = ((BODY_LENGTH + MAC_LENGTH) * 4) / 3;

/** The grant and generation that a code or refresh token identifies. */
export interface GrantReference {
  readonly grantId: string;
  readonly generation: number;
}

/** Codes and refresh tokens: `base64url(grant id ‖ generation ‖ HMAC-SHA256)`. No I/O. */
export interface GrantTokens {
  code(grantId: string): string;
  refreshToken(grantId: string, generation: number): string;
  /** Reads a code. Returns `undefined` unless it was issued here. */
  readCode(code: string): GrantReference | undefined;
  /** Reads a refresh token. Returns `undefined` unless it was issued here. */
  readRefreshToken(refreshToken: string): GrantReference | undefined;
}

/** Creates a grant id of 128 random bits. */
export function newGrantId(): string {
  return randomBytes(ID_LENGTH).toString('base64url');
}

export function createGrantTokens(secrets: Secrets, issuer: string): GrantTokens {
  const codes = createAuthenticator(deriveKeys(secrets, 'authorization code', issuer));
  const refreshTokens = createAuthenticator(deriveKeys(secrets, 'refresh token', issuer));

  function write(macs: typeof codes, id: string, generation: number): string {
    const body = Buffer.alloc(BODY_LENGTH);
    body.write(id, 'base64url');
    body.writeUIntBE(generation, ID_LENGTH, GENERATION_LENGTH);
    return Buffer.concat([body, macs.sign(body)]).toString('base64url');
  }

  function read(macs: typeof codes, token: string): GrantReference | undefined {
    const bytes = token.length === TOKEN_LENGTH ? canonicalBytes(token) : undefined;
    if (!bytes) return undefined;
    const body = bytes.subarray(0, BODY_LENGTH);
    if (!macs.verify(body, bytes.subarray(BODY_LENGTH))) return undefined;
    return {
      grantId: body.toString('base64url', 0, ID_LENGTH),
      generation: body.readUIntBE(ID_LENGTH, GENERATION_LENGTH),
    };
  }

  return {
    code: (id) => write(codes, id, 0),
    refreshToken: (id, generation) => write(refreshTokens, id, generation),
    readCode: (code) => read(codes, code),
    readRefreshToken: (refreshToken) => read(refreshTokens, refreshToken),
  };
}
