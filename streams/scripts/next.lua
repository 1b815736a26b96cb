-- A run that others of its schedule wait for has ended: moves the one whose slot comes next to the stream that is read first.
-- Runs that wait no more (cancelled, or due by themselves) are passed over.
--
-- KEYS: 1 scheduled  2 scheduled:entries  3 again  4 events  5 tasks  6 turns
-- ARGV: 1 header  2 run that has ended
-- Returns: { run or "", now, ledger id }
redis.call('XACK', KEYS[5], 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREM', KEYS[6], ARGV[2])
for _, run in ipairs(redis.call('ZRANGE', KEYS[6], 0, 1000)) do
  redis.call('ZREM', KEYS[6], run)
  local packed = redis.call('HGET', KEYS[2], run)
  if packed then
    redis.call('ZREM', KEYS[1], run)
    redis.call('HDEL', KEYS[2], run)
    redis.call('XADD', KEYS[3], '*', 'e', packed)
    local _, task, attempt, _, meta = string.match(packed, '^[^%z]*%z([^%z]*)%z([^%z]*)%z([^%z]*)%z([^%z]*)%z[^%z]*%z([^%z]*)')
    local trace = string.match(meta or '', '"traceparent":"([%x%-]+)"')
    local event = '{"type":"run.due","run":' .. cjson.encode(run) .. ',"task":' .. cjson.encode(task or '')
      .. ',"attempt":' .. (string.match(attempt or '', '^[1-9]%d?%d?%d?%d?$') or '0') .. (trace and ',"traceparent":"' .. trace .. '"' or '') .. ',"at":' .. now .. '}'
    return { run, now, redis.call('XADD', KEYS[4], '*', 'h', ARGV[1], 'n', 1, 'events', '[' .. event .. ']') }
  end
end
return { '', now, '' }
