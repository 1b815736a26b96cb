-- Moves schedules on to slots that the archive knows to be past, where the lane has lost how far they had come: so that no slot fires twice. Never back,
-- and none that the lane does not have: it may have been removed, and one that is made anew begins with the present.
--
-- KEYS: 1 meta  2 cron  3 tasks
-- ARGV: 1 token of the repair, then, 4 each: schedule  last slot (ms)  last slot that made a run (ms, "" none)  how many made runs
-- Returns: { "recalled", now, how many were moved } or { "lost" (the repair is another's), now }
local meta, cron = KEYS[1], KEYS[2]
redis.call('XACK', KEYS[3], 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HGET', meta, 'repair') ~= ARGV[1] then return { 'lost', now } end
local moved = 0
for i = 2, #ARGV, 4 do
  local schedule, last, fired, count = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local known = redis.call('HMGET', cron, 'last:' .. schedule, 'fired:' .. schedule, 'count:' .. schedule, 'definition:' .. schedule)
  if not known[4] then last, fired, count = '-1', '', '0' end
  if tonumber(known[1] or '-1') < tonumber(last) then
    redis.call('HSET', cron, 'last:' .. schedule, last)
    moved = moved + 1
  end
  if fired ~= '' and tonumber(known[2] or '-1') < tonumber(fired) then redis.call('HSET', cron, 'fired:' .. schedule, fired) end
  if tonumber(known[3] or '0') < tonumber(count) then redis.call('HSET', cron, 'count:' .. schedule, count) end
end
return { 'recalled', now, moved }
