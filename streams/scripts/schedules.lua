-- Reads what is kept of schedules, with the time it was read at: a script, so that reading is retried and timed as every other call is.
--
-- KEYS: 1 cron
-- ARGV: 1.. schedules
-- Returns: { "ok", now, { definition, last slot, last slot with a run, runs, declared at (each nil when there is none), … } }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = {}
for _, schedule in ipairs(ARGV) do
  local kept = redis.call('HMGET', KEYS[1], schedule, 'last:' .. schedule, 'fired:' .. schedule, 'count:' .. schedule, 'seen:' .. schedule)
  for i = 1, 5 do found[#found + 1] = kept[i] end
end
return { 'ok', now, found }
