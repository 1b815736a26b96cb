-- Lets go of entries that a worker holds and will not start, while it goes on with others: they pass to a consumer of their own
-- whose lease is 0, so that others take them over at once, in order and without a strike.
--
-- KEYS: 1 tasks  2 again  3 workers
-- ARGV: 1 consumer  then, 3 each: stream id delivery
-- Returns: { released, now }
local me, heir, released = ARGV[1], ARGV[1] .. '~left', 0
redis.call('XACK', KEYS[1], 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
for i = 2, #ARGV, 3 do
  local stream, id = KEYS[tonumber(ARGV[i])], ARGV[i + 1]
  local row = redis.pcall('XPENDING', stream, 'workers', id, id, 1, me)[1] -- no group: nothing is held
  if row and row[4] == tonumber(ARGV[i + 2]) and redis.call('XRANGE', stream, id, id)[1] then
    redis.call('XCLAIM', stream, 'workers', heir, 0, id)
    released = released + 1
  end
end
if released > 0 then redis.call('ZADD', KEYS[3], 0, heir) end
return { released, time[1] * 1000 + math.floor(time[2] / 1000) }
