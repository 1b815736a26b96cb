-- Takes a worker off a lane: for good when it holds nothing, else with a lease of 0, by which others see that it left of its own will
-- and take its entries over at once, in order and without a strike. Its beats must have stopped.
--
-- KEYS: 1 workers  2 tasks  3 again  4 events
-- ARGV: 1 consumer  2 header
-- Returns: { "gone" | "leaving", now, held }
local workers, me = KEYS[1], ARGV[1]
redis.call('XACK', KEYS[2], 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = 0
for stream = 2, 3 do
  local summary = redis.pcall('XPENDING', KEYS[stream], 'workers') -- no group yet: nothing held
  for _, row in ipairs(summary[4] or {}) do
    if row[1] == me then held = held + tonumber(row[2]) end
  end
end
if (redis.call('ZSCORE', workers, me) or '0') ~= '0' then -- once, however often it is told
  redis.call('XADD', KEYS[4], '*', 'h', ARGV[2], 'n', 1, 'events', '[{"type":"worker.stopped","worker":' .. cjson.encode(me) .. ',"at":' .. now .. '}]')
end
if held > 0 then
  redis.call('ZADD', workers, 0, me)
  return { 'leaving', now, held }
end
for stream = 2, 3 do redis.pcall('XGROUP', 'DELCONSUMER', KEYS[stream], 'workers', me) end
redis.call('ZREM', workers, me)
return { 'gone', now, 0 }
