-- Moves scheduled runs that are due to the stream that is read first, and records that they are due.
-- At most so many at once: the caller asks again while there are more.
--
-- KEYS: 1 scheduled  2 scheduled:entries  3 again  4 events  5 tasks  6 cancelled
-- ARGV: 1 header  2 most runs  3 most bytes
-- Returns: { moved, now, next due (ms, 0 none), cancel requests, ledger id }
local scheduled, entries = KEYS[1], KEYS[2]
redis.call('XACK', KEYS[5], 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local room = tonumber(ARGV[3])

local events = {}
for _, run in ipairs(redis.call('ZRANGEBYSCORE', scheduled, '-inf', now, 'LIMIT', 0, ARGV[2])) do
  local packed = redis.call('HGET', entries, run)
  room = room - (packed and #packed or 0)
  if room < 0 and #events > 0 then break end
  redis.call('ZREM', scheduled, run)
  local body
  if packed then
    redis.call('HDEL', entries, run)
    redis.call('XADD', KEYS[3], '*', 'e', packed)
    local _, task, attempt, _, meta = string.match(packed, '^[^%z]*%z([^%z]*)%z([^%z]*)%z([^%z]*)%z([^%z]*)%z[^%z]*%z([^%z]*)')
    local trace = string.match(meta or '', '"traceparent":"([%x%-]+)"')
    body = '"run.due","run":' .. cjson.encode(run) .. ',"task":' .. cjson.encode(task or '')
      .. ',"attempt":' .. (string.match(attempt or '', '^[1-9]%d?%d?%d?%d?$') or '0') .. (trace and ',"traceparent":"' .. trace .. '"' or '')
  else
    body = '"run.lost","run":' .. cjson.encode(run) .. ',"entry":""'
  end
  events[#events + 1] = '{"type":' .. body .. ',"at":' .. now .. '}'
end
local position = ''
if #events > 0 then
  position = redis.call('XADD', KEYS[4], '*', 'h', ARGV[1], 'n', #events, 'events', '[' .. table.concat(events, ',') .. ']')
end
local due = redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')
return { #events, now, due[2] or '0', redis.call('ZCARD', KEYS[6]), position }
