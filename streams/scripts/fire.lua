-- Moves a schedule on to a slot, by compare-and-set on its last one, and records it: with a run (fired), or without (skipped, missed).
-- That a slot fires once rests on this script and not on a lock: of any number of schedulers, one finds the last slot as it expects it.
-- Nor does a schedule fire that was changed, paused or removed since the caller read it, or before its time on this server's clock.
--
-- KEYS: 1 cron  2 tasks  3 events  4 scheduled  5 scheduled:entries  6 turns
-- ARGV: 1 schedule  2 last slot as the caller knows it ("" none)  3 slot (ms)  4 header  5 event count  6 events
--       7 definition as the caller knows it ("" not compared)
--       8 pattern of the slots up to now, when some of them were missed: the unbroken stretch ends ("" none was)
--       for a run: 9 entry  10 run  11 when it is due by itself though it has to wait for its turn (ms, 0: it is to run now)  12 "turn": others wait for it
-- Returns: { "fired", now, entry id or "", ledger id } or { "taken", now, last slot, last slot with a run or "", runs } or { "changed" | "early", now }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local cron, schedule, slot = KEYS[1], ARGV[1], tonumber(ARGV[3])
local known = redis.call('HMGET', cron, 'last:' .. schedule, 'fired:' .. schedule, 'count:' .. schedule, 'definition:' .. schedule, 'since:' .. schedule, 'past:' .. schedule)
if (known[1] or '') ~= ARGV[2] then return { 'taken', now, known[1] or '', known[2] or '', known[3] or '0' } end
if ARGV[7] ~= '' and known[4] ~= ARGV[7] then return { 'changed', now } end
if slot > now then return { 'early', now } end

local entry, since = '', known[5]
if ARGV[9] and ARGV[11] ~= '0' then
  redis.call('ZADD', KEYS[4], ARGV[11], ARGV[10])
  redis.call('HSET', KEYS[5], ARGV[10], ARGV[9])
elseif ARGV[9] then
  entry = redis.call('XADD', KEYS[2], '*', 'e', ARGV[9])
end
if ARGV[12] == 'turn' then
  redis.call('ZADD', KEYS[6], ARGV[3], ARGV[10])
  redis.call('PEXPIRE', KEYS[6], 604800000)
end
if ARGV[8] ~= '' and since and known[2] then
  local past = (known[6] or '') .. since .. ' ' .. known[2] .. ' ' .. ARGV[8] .. '\n'
  if #past > 32768 then past = '+' .. string.sub(past, (string.find(past, '\n', #past - 24576, true)) + 1) end -- the oldest are forgotten
  redis.call('HSET', cron, 'past:' .. schedule, past)
  redis.call('HDEL', cron, 'since:' .. schedule)
  since = nil
end
if ARGV[9] then
  redis.call('HSET', cron, 'fired:' .. schedule, ARGV[3], 'since:' .. schedule, since or ARGV[3])
  redis.call('HINCRBY', cron, 'count:' .. schedule, 1)
end
redis.call('HSET', cron, 'last:' .. schedule, ARGV[3])
local position = ''
if tonumber(ARGV[5]) > 0 then position = redis.call('XADD', KEYS[3], '*', 'h', ARGV[4], 'n', ARGV[5], 'events', ARGV[6]) end
return { 'fired', now, entry, position }
