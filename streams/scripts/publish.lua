-- Publishes the next batch of domain events, exactly once: each is appended to its topic, and the mark moves on.
-- A batch that does not begin where the mark stands changes nothing.
--
-- KEYS: 1 marks  2.. topics, one for each event
-- ARGV: 1 field of marks  2 from  3 to  4 most entries of a topic, about  5.. events as JSON
-- Returns: { "ok" | "passed", now, how far it has come }
local marks, field, to = KEYS[1], ARGV[1], ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local mark = redis.call('HGET', marks, field) or '0'
if mark ~= ARGV[2] then return { 'passed', now, mark } end

for i = 2, #KEYS do redis.call('XADD', KEYS[i], 'MAXLEN', '~', ARGV[4], '*', 'event', ARGV[i + 3]) end
redis.call('HSET', marks, field, to)
return { 'ok', now, to }
