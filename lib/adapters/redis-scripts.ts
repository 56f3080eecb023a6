/**
 * A grant is a string at one key, `generation since indexed mark record`: `since` is when the generation was stored first, in epoch
 * milliseconds of the server's clock; `indexed` is until when the user's index exists, in days; `mark` identifies the insertion until the
 * first advance; no script reads the record. A client is a string. A value that was taken is `\x01mark value` for a while. Each script runs
 * atomically on one key.
 */

/** The moment in epoch milliseconds, as a text. */
const NOW = `
local time = redis.call('TIME')
local now = time[1] .. string.format('%03d', math.floor(time[2] / 1000))`;

/** ARGV: generation, record, time to live in ms, indexed until, mark. Returns 1, or 0 if another grant has the id. */
export const SAVE_GRANT = `
local stored = redis.call('GET', KEYS[1])
if stored then return string.match(stored, '^%d+ %d+ %d+ (%S+) ') == ARGV[5] and 1 or 0 end
${NOW}
redis.call('SET', KEYS[1], table.concat({ARGV[1], now, ARGV[4], ARGV[5], ARGV[2]}, ' '), 'PX', ARGV[3])
return 1
`;

/** Returns the age of the generation in ms, and what is stored. */
export const GET_GRANT = `
local stored = redis.call('GET', KEYS[1])
if not stored then return false end
${NOW}
return {tostring(now - string.match(stored, '^%d+ (%d+) ')), stored}
`;

/**
 * ARGV: generation, next generation, next record, time to live in ms, the day until which the index must exist, and the day until which
 * the index that was just written exists (0 if it was not written). Returns 1 if the record was stored, 0 if the stored generation
 * differs, 'INDEX' if the index must be written first.
 */
export const ADVANCE_GRANT = `
local stored = redis.call('GET', KEYS[1])
if not stored then return 0 end
local generation, since, indexed = string.match(stored, '^(%d+) (%d+) (%d+) ')
if generation ~= ARGV[1] then return 0 end
if ARGV[6] ~= '0' then indexed = ARGV[6] end
if tonumber(ARGV[5]) > tonumber(indexed) then return 'INDEX' end
if ARGV[2] ~= generation then
${NOW}
since = now
end
redis.call('SET', KEYS[1], table.concat({ARGV[2], since, indexed, '-', ARGV[3]}, ' '), 'PX', ARGV[4])
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

/** ARGV: mark, time to live in ms. Returns 1 if there was no such key, or it has the mark; else 0. */
export const SET_ONCE = `
if redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX') then return 1 end
return redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0
`;

/** How a value begins that was taken. */
export const TAKEN = '\x01';

/**
 * ARGV: mark, time in ms for which the value is kept for a repetition of this call. Returns the value, unless another call has taken it. A
 * server that is full may still delete.
 */
export const TAKE = `
local stored = redis.call('GET', KEYS[1])
if not stored then return false end
local mark, value = string.match(stored, '^\\1(%S+) (.*)$')
if mark then return mark == ARGV[1] and value end
local kept = redis.pcall('SET', KEYS[1], '\\1' .. ARGV[1] .. ' ' .. stored, 'PX', ARGV[2])
if kept.err then redis.call('DEL', KEYS[1]) end
return stored
`;
