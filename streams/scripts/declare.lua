-- Writes or removes a schedule's definition, by compare-and-set on its text, and records it: of several schedulers that start at once,
-- one writes, and the others find it written.
--
-- KEYS: 1 cron  2 events
-- ARGV: 1 schedule  2 definition as the caller knows it ("" none)  3 new definition ("" removes the schedule with all that is kept of it)
--       4 now (ms): when it was declared  5 header  6 event count  7 events
--       then, to bring along from another lane, any of: "last" | "fired" | "count" and its value
-- Returns: { "written", now, ledger id } or { "changed", now, definition or "" }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local schedule = ARGV[1]
local known = redis.call('HGET', KEYS[1], schedule) or ''
if known ~= ARGV[2] then return { 'changed', now, known } end

if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], schedule, 'last:' .. schedule, 'fired:' .. schedule, 'count:' .. schedule, 'seen:' .. schedule)
else
  redis.call('HSET', KEYS[1], schedule, ARGV[3], 'seen:' .. schedule, ARGV[4])
end
for i = 8, #ARGV - 1, 2 do redis.call('HSET', KEYS[1], ARGV[i] .. ':' .. schedule, ARGV[i + 1]) end
local position = ''
if tonumber(ARGV[6]) > 0 then position = redis.call('XADD', KEYS[2], '*', 'h', ARGV[5], 'n', ARGV[6], 'events', ARGV[7]) end
return { 'written', now, position }
