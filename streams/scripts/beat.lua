-- Keeps a worker's lease alive, and tells it how the lane stands.
-- A gap of more than half a lease between the lane's beats means that Redis, not a worker, was away:
-- then a grace of one lease opens, in which nobody takes anything from anybody who may still be alive.
--
-- KEYS: 1 workers  2 meta  3 tasks  4 again  5 scheduled  6 cancelled
-- ARGV: 1 consumer  2 lease (ms)
-- Returns: { "renewed" | "reaped" (also at the first beat), now, held in tasks, held in again, next due (ms, 0 none), cancel requests, "1" when paused, incarnation, format }
local workers, meta, cancelled = KEYS[1], KEYS[2], KEYS[6]
local consumer, lease = ARGV[1], tonumber(ARGV[2])
redis.call('XACK', KEYS[3], 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local known = redis.call('HMGET', meta, 'last', 'paused', 'incarnation', 'format', 'lease')
local last = tonumber(known[1] or '0')
-- Those who left of their own will need no grace, nor does a lane where nobody is.
if last > 0 and math.abs(now - last) > lease / 2 and redis.call('ZCOUNT', workers, 1, '+inf') > 0 then
  redis.call('HSET', meta, 'grace', now + lease)
end
redis.call('HSET', meta, 'last', now, 'lease', math.max(lease, tonumber(known[5] or '0')))

local expiry = tonumber(redis.call('ZSCORE', workers, consumer) or '-1')
if expiry ~= 0 then redis.call('ZADD', workers, now + lease, consumer) end -- who left does not come back by a late beat

local function held(stream)
  local pending = redis.pcall('XPENDING', stream, 'workers') -- no group yet: nothing held
  for _, row in ipairs(pending[4] or {}) do
    if row[1] == consumer then return tonumber(row[2]) end
  end
  return 0
end

-- A marked run whose entry is older than the mark lies in a stream until it ends. What was marked an hour before the oldest entry has ended.
local oldest = redis.call('ZRANGE', cancelled, 0, 0, 'WITHSCORES')[2]
if oldest and tonumber(oldest) < now - 3600000 then
  local before = now
  for stream = 3, 4 do
    local first = redis.call('XRANGE', KEYS[stream], '-', '+', 'COUNT', 1)[1]
    if first then before = math.min(before, tonumber(string.match(first[1], '^%d+'))) end
  end
  redis.call('ZREMRANGEBYSCORE', cancelled, '-inf', '(' .. (before - 3600000))
end
local due = redis.call('ZRANGE', KEYS[5], 0, 0, 'WITHSCORES')
return { expiry > now and 'renewed' or 'reaped', now, held(KEYS[3]), held(KEYS[4]), due[2] or '0', redis.call('ZCARD', cancelled),
  known[2] or '', known[3] or '', known[4] or '' }
