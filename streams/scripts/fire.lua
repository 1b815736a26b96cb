-- Moves a schedule on to a slot, by compare-and-set on its last one, and records it: with a run (fired), or without (skipped, missed).
-- That a slot fires once rests on this script and not on a lock: of any number of schedulers, one finds the last slot as it expects it.
-- Nor does a schedule fire that was changed, paused or removed since the caller read it, or before its time on this server's clock.
--
-- KEYS: 1 cron  2 tasks  3 events
-- ARGV: 1 schedule  2 last slot as the caller knows it ("" none)  3 slot (ms)  4 header  5 event count  6 events
--       7 definition as the caller knows it ("" not compared)
--       8 entry, for a run
-- Returns: { "fired", now, entry id or "", ledger id } or { "taken", now, last slot, last slot with a run or "", runs } or { "changed" | "early", now }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local schedule, slot = ARGV[1], tonumber(ARGV[3])
local field = 'last:' .. schedule
local known = redis.call('HMGET', KEYS[1], field, 'fired:' .. schedule, 'count:' .. schedule, schedule)
if (known[1] or '') ~= ARGV[2] then return { 'taken', now, known[1] or '', known[2] or '', known[3] or '0' } end
if ARGV[7] ~= '' and known[4] ~= ARGV[7] then return { 'changed', now } end
if slot > now then return { 'early', now } end

local entry = ''
if ARGV[8] then
  entry = redis.call('XADD', KEYS[2], '*', 'e', ARGV[8])
  redis.call('HSET', KEYS[1], 'fired:' .. schedule, ARGV[3])
  redis.call('HINCRBY', KEYS[1], 'count:' .. schedule, 1)
end
redis.call('HSET', KEYS[1], field, ARGV[3])
local position = ''
if tonumber(ARGV[5]) > 0 then position = redis.call('XADD', KEYS[3], '*', 'h', ARGV[4], 'n', ARGV[5], 'events', ARGV[6]) end
return { 'fired', now, entry, position }
