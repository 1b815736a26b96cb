-- Fires slots of the past that did not fire, and notes that they now have: by compare-and-set on what is noted of the past,
-- so that of two backfills of one range each slot is fired by one.
--
-- KEYS: 1 cron  2 tasks  3 events  4 scheduled  5 scheduled:entries  6 turns
-- ARGV: 1 schedule  2 definition as the caller knows it  3 past stretches as the caller knows them ("" none)  4 past stretches from now on
--       5 header  6 event count  7 events  8 token of this call
--       then for each run: entry  run  when it is due by itself though it has to wait for its turn (ms, 0: it is to run now)  slot (ms, "": nothing waits for it)
-- Returns: { "fired", now, ledger id } or { "changed", now, token of the call that last did it }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local schedule = ARGV[1]
local known = redis.call('HMGET', KEYS[1], 'definition:' .. schedule, 'past:' .. schedule, 'filled:' .. schedule)
if (known[1] or '') ~= ARGV[2] or (known[2] or '') ~= ARGV[3] then return { 'changed', now, known[3] or '' } end

for i = 9, #ARGV - 3, 4 do
  if ARGV[i + 2] == '0' then
    redis.call('XADD', KEYS[2], '*', 'e', ARGV[i])
  else
    redis.call('ZADD', KEYS[4], ARGV[i + 2], ARGV[i + 1])
    redis.call('HSET', KEYS[5], ARGV[i + 1], ARGV[i])
  end
  if ARGV[i + 3] ~= '' then redis.call('ZADD', KEYS[6], ARGV[i + 3], ARGV[i + 1]) end
end
redis.call('PEXPIRE', KEYS[6], 604800000)
redis.call('HSET', KEYS[1], 'past:' .. schedule, ARGV[4], 'filled:' .. schedule, ARGV[8])
return { 'fired', now, redis.call('XADD', KEYS[3], '*', 'h', ARGV[5], 'n', ARGV[6], 'events', ARGV[7]) }
