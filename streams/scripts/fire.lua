-- Moves a schedule on to a slot, by compare-and-set on its last one, and records it: with a run (fired), or without (skipped, missed).
-- That a slot fires once rests on this script and not on a lock: of any number of schedulers, one finds the last slot as it expects it.
--
-- KEYS: 1 cron  2 tasks  3 events
-- ARGV: 1 schedule  2 last slot as the caller knows it ("" none)  3 slot (ms)  4 header  5 event count  6 events
--       then, for a run: run task expires meta body
-- Returns: { "fired", now, entry id or "", ledger id } or { "taken", now, last slot }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local field = 'last:' .. ARGV[1]
local last = redis.call('HGET', KEYS[1], field) or ''
if last ~= ARGV[2] then return { 'taken', now, last } end

local entry = ''
if ARGV[7] then
  entry = redis.call('XADD', KEYS[2], '*', 'v', 1, 'run', ARGV[7], 'task', ARGV[8], 'attempt', 1, 'key', '', 'expires', ARGV[9], 'meta', ARGV[10], 'body', ARGV[11])
end
redis.call('HSET', KEYS[1], field, ARGV[3])
local position = ''
if tonumber(ARGV[5]) > 0 then position = redis.call('XADD', KEYS[3], '*', 'h', ARGV[4], 'n', ARGV[5], 'events', ARGV[6]) end
return { 'fired', now, entry, position }
