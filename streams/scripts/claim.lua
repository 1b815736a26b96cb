-- Claims the repair of a lane for one projector, keeps the claim, or ends it: with an event when all is repaired. A claim that is not kept lapses,
-- and whoever claims the repair then takes it away from the one before, whose writes are refused from there on.
--
-- KEYS: 1 meta  2 events  3 tasks
-- ARGV: 1 token  2 how long the claim holds (ms); 0 ends it  3 header, 4 event: when all is repaired
-- Returns: { "ours" | "held" by another | "lost", now }
redis.call('XACK', KEYS[3], 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = tonumber(ARGV[2])
local known = redis.call('HMGET', KEYS[1], 'repair', 'repairUntil')
local holder, untilMs = known[1] or '', tonumber(known[2] or '0')
if lease == 0 then
  if holder ~= ARGV[1] then return { 'lost', now } end
  redis.call('HDEL', KEYS[1], 'repair', 'repairUntil', 'repairCall')
  if ARGV[4] then redis.call('XADD', KEYS[2], '*', 'h', ARGV[3], 'n', 1, 'events', '[' .. ARGV[4] .. ']') end
  return { 'ours', now }
end
-- A claim of longer than a lease comes from a clock that was set back.
if holder ~= '' and holder ~= ARGV[1] and untilMs > now and untilMs <= now + lease then return { 'held', now } end
redis.call('HSET', KEYS[1], 'repair', ARGV[1], 'repairUntil', now + lease)
return { 'ours', now }
