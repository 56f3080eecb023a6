/**
 * A grant is a hash at one key: `generation`, `record` (which no script reads), `indexedUntil` and `mark`; a client is a string. Each
 * script runs atomically on one key.
 */

/** ARGV: generation, record, time to live in ms, indexed until, mark. Returns 1, or 0 if another grant has the id. */
export const SAVE_GRANT = `
local mark = redis.call('HGET', KEYS[1], 'mark')
if mark then return mark == ARGV[5] and 1 or 0 end
redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'record', ARGV[2], 'indexedUntil', ARGV[4], 'mark', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`;

/**
 * ARGV: generation, next generation, next record, time to live in ms, the time until which the index must exist, and the time
 * until which the index that was just written exists (0 if it was not written). Returns 1 if the record was stored, 0 if the
 * stored generation differs, 'INDEX' if the index must be written first.
 */
export const ADVANCE_GRANT = `
local stored = redis.call('HMGET', KEYS[1], 'generation', 'indexedUntil')
if stored[1] ~= ARGV[1] then return 0 end
local indexedUntil = ARGV[6] == '0' and stored[2] or ARGV[6]
if tonumber(ARGV[5]) > tonumber(indexedUntil) then return 'INDEX' end
redis.call('HSET', KEYS[1], 'generation', ARGV[2], 'record', ARGV[3])
if ARGV[6] ~= '0' then redis.call('HSET', KEYS[1], 'indexedUntil', ARGV[6]) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
`;

/** ARGV: record, time to live in ms or 0. A client that exists keeps its time to live. */
export const SAVE_CLIENT = `
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
elseif ARGV[2] == '0' then redis.call('SET', KEYS[1], ARGV[1])
else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
`;

/** ARGV: time to live in ms or 0. Returns 1, or 0 if there is no such client. */
export const EXTEND_CLIENT = `
local left = redis.call('PTTL', KEYS[1])
if left == -2 then return 0 end
if ARGV[1] == '0' then redis.call('PERSIST', KEYS[1])
elseif left >= 0 and left < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1
`;

/** ARGV: grant id, now, until. Returns the number of entries. */
export const INDEX_GRANT = `
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
if redis.call('PTTL', KEYS[1]) < ARGV[3] - ARGV[2] then redis.call('PEXPIREAT', KEYS[1], ARGV[3]) end
return redis.call('ZCARD', KEYS[1])
`;

/**
 * ARGV: first and last position. Returns ids and the moments when they were written, alternating. A script returns the same form
 * in every protocol version.
 */
export const LIST_GRANTS = `
return redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2], 'WITHSCORES')
`;
