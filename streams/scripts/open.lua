-- Makes what a lane needs before it can be read: its consumer groups, at the beginning, its format and its incarnation.
-- Leaves alone what is there. Works when memory is full: the worker that starts then may be the one that makes room.
--
-- KEYS: 1 tasks  2 again  3 meta
-- ARGV: 1 format  2 incarnation, should it have none
-- Returns: { format, now, incarnation }
redis.call('XACK', KEYS[1], 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
for stream = 1, 2 do
  local made = redis.pcall('XGROUP', 'CREATE', KEYS[stream], 'workers', '0', 'MKSTREAM')
  if made.err and not string.find(made.err, 'BUSYGROUP') then return made end -- that one means that it is there
end
redis.call('HSETNX', KEYS[3], 'format', ARGV[1])
redis.call('HSETNX', KEYS[3], 'incarnation', ARGV[2])
redis.call('HSETNX', KEYS[3], 'lanes', 1)
local known = redis.call('HMGET', KEYS[3], 'format', 'incarnation')
return { known[1], time[1] * 1000 + math.floor(time[2] / 1000), known[2] }
