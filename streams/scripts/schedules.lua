-- Reads what is kept of schedules, with the time it was read at: a script, so that reading is retried and timed as every other call is.
-- The revision changes with every definition that is written or removed: as long as it is the same, so are the schedules' names.
--
-- KEYS: 1 cron
-- ARGV: 1.. schedules
-- Returns: { "ok", now, { definition, last slot, last slot with a run, runs, declared at, stretch since, past stretches (each nil when there is none), … }, revision }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = {}
for _, schedule in ipairs(ARGV) do
  local kept = redis.call('HMGET', KEYS[1], 'definition:' .. schedule, 'last:' .. schedule, 'fired:' .. schedule, 'count:' .. schedule, 'seen:' .. schedule, 'since:' .. schedule, 'past:' .. schedule)
  for i = 1, 7 do found[#found + 1] = kept[i] end
end
return { 'ok', now, found, redis.call('HGET', KEYS[1], 'revision') or '0' }
