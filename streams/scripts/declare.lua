-- Writes or removes a schedule's definition, by compare-and-set on its text, and records it: of several schedulers that start at once,
-- one writes, and the others find it written.
--
-- KEYS: 1 cron  2 events
-- ARGV: 1 schedule  2 definition as the caller knows it ("" none)  3 new definition ("" removes the schedule with all that is kept of it)
--       4 now (ms): it was declared then; "none": schedulers have it not in their code; "same": nothing is said of that  5 header  6 event count  7 events
--       8 pattern of the slots up to now, when the new one has others: the unbroken stretch of those that fired ends ("" it goes on)
--       then, to bring along from another lane, any of: "last" | "fired" | "count" | "since" | "past" and its value
-- Returns: { "written", now, ledger id } or { "changed", now, definition or "" }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local cron, schedule = KEYS[1], ARGV[1]
local kept = redis.call('HMGET', cron, 'definition:' .. schedule, 'since:' .. schedule, 'fired:' .. schedule, 'past:' .. schedule)
local known = kept[1] or ''
if known ~= ARGV[2] then return { 'changed', now, known } end

if ARGV[3] == '' then
  for _, field in ipairs({ 'definition', 'last', 'fired', 'count', 'seen', 'since', 'past', 'filled' }) do redis.call('HDEL', cron, field .. ':' .. schedule) end
else
  redis.call('HSET', cron, 'definition:' .. schedule, ARGV[3])
  if ARGV[4] == 'none' then redis.call('HDEL', cron, 'seen:' .. schedule)
  elseif ARGV[4] ~= 'same' then redis.call('HSET', cron, 'seen:' .. schedule, ARGV[4]) end
  if ARGV[8] ~= '' and kept[2] and kept[3] then
    redis.call('HSET', cron, 'past:' .. schedule, (kept[4] or '') .. kept[2] .. ' ' .. kept[3] .. ' ' .. ARGV[8] .. '\n')
    redis.call('HDEL', cron, 'since:' .. schedule)
  end
end
redis.call('HSET', cron, 'revision', time[1] .. '.' .. time[2])
for i = 9, #ARGV - 1, 2 do redis.call('HSET', cron, ARGV[i] .. ':' .. schedule, ARGV[i + 1]) end
local position = ''
if tonumber(ARGV[6]) > 0 then position = redis.call('XADD', KEYS[2], '*', 'h', ARGV[5], 'n', ARGV[6], 'events', ARGV[7]) end
return { 'written', now, position }
