-- Keeps a worker's lease alive, and tells it how the lane stands.
-- A gap of more than half a lease between the lane's beats means that Redis, not a worker, was away:
-- then a grace of one lease opens, in which nobody takes anything from anybody.
--
-- KEYS: 1 workers  2 meta  3 tasks  4 again  5 scheduled  6 cancelled
-- ARGV: 1 consumer  2 lease (ms)
-- Returns: { "renewed" | "reaped" (also at the first beat), now, held in tasks, held in again, next due (ms, 0 none), cancel requests, "1" when paused, incarnation }
local workers, meta = KEYS[1], KEYS[2]
local consumer, lease = ARGV[1], tonumber(ARGV[2])
redis.call('XACK', KEYS[3], 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local known = redis.call('HMGET', meta, 'last', 'paused', 'incarnation')
local last = tonumber(known[1] or '0')
if last > 0 and math.abs(now - last) > lease / 2 and redis.call('ZCARD', workers) > 0 then
  redis.call('HSET', meta, 'grace', now + lease)
end
redis.call('HSET', meta, 'last', now)

local status = redis.call('ZSCORE', workers, consumer) and 'renewed' or 'reaped'
redis.call('ZADD', workers, now + lease, consumer)

local function held(stream)
  local pending = redis.pcall('XPENDING', stream, 'workers') -- no group yet: nothing held
  for _, row in ipairs(pending[4] or {}) do
    if row[1] == consumer then return tonumber(row[2]) end
  end
  return 0
end
local due = redis.call('ZRANGE', KEYS[5], 0, 0, 'WITHSCORES')
return { status, now, held(KEYS[3]), held(KEYS[4]), due[2] or '0', redis.call('ZCARD', KEYS[6]), known[2] or '', known[3] or '' }
