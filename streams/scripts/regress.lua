-- Gives a lane whose ledger is not the one that was archived a new incarnation, and records that it has regressed. Once, however many notice.
--
-- KEYS: 1 meta  2 events  3 tasks
-- ARGV: 1 incarnation as the caller knows it  2 new incarnation; the same when the archive has not seen it yet  3 header  4 event
-- Returns: { "regressed" | "known" | "changed", now, incarnation }
redis.call('XACK', KEYS[3], 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', KEYS[1], 'incarnation', 'regressed')
if known[1] == ARGV[2] and known[2] == ARGV[2] then return { 'known', now, ARGV[2] } end
if known[1] ~= ARGV[1] then return { 'changed', now, known[1] or '' } end
redis.call('HSET', KEYS[1], 'incarnation', ARGV[2], 'regressed', ARGV[2])
redis.call('XADD', KEYS[2], '*', 'h', ARGV[3], 'n', 1, 'events', '[' .. ARGV[4] .. ']')
return { 'regressed', now, ARGV[2] }
