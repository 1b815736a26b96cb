-- Ends a run that is scheduled, or that waits and whose entry the caller knows. Of any other it records the request,
-- once, for whoever owns the run to act on.
--
-- KEYS: 1 scheduled  2 scheduled:entries  3 tasks  4 events  5 cancelled
-- ARGV: 1 run  2 entry id ("" unknown)  3 header  4 task ("" unknown)  5 reason as a JSON string ("" none)
-- Returns: { "cancelled" | "requested" | "already", now, ledger id }
local run, entry = ARGV[1], ARGV[2]
redis.call('XACK', KEYS[3], 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function event(kind, task)
  return '{"type":"' .. kind .. '","run":' .. cjson.encode(run) .. (task ~= '' and ',"task":' .. cjson.encode(task) or '')
    .. (ARGV[5] ~= '' and ',"reason":' .. ARGV[5] or '') .. '}'
end
local function record(count, events) return redis.call('XADD', KEYS[4], '*', 'h', ARGV[3], 'n', count, 'events', '[' .. events .. ']') end
local function recordEnd(task) return record(2, event('run.cancel_requested', task) .. ',' .. event('run.cancelled', task)) end
local function forget(key) if key ~= '' and redis.call('GET', key) == run then redis.call('DEL', key) end end

local packed = redis.call('HGET', KEYS[2], run)
if packed then
  redis.call('ZREM', KEYS[1], run)
  redis.call('HDEL', KEYS[2], run)
  redis.call('ZREM', KEYS[5], run)
  local fields = cmsgpack.unpack(packed)
  forget(fields[5])
  return { 'cancelled', now, recordEnd(fields[3]) }
end
if entry ~= '' then
  local found = redis.call('XRANGE', KEYS[3], entry, entry)[1]
  local holders = redis.pcall('XPENDING', KEYS[3], 'workers', entry, entry, 1) -- no group yet: nobody holds it
  if found and (holders.err or #holders == 0) and found[2][4] == run then
    redis.call('XDEL', KEYS[3], entry)
    redis.call('ZREM', KEYS[5], run)
    forget(found[2][10])
    return { 'cancelled', now, recordEnd(found[2][6]) }
  end
end
if redis.call('ZADD', KEYS[5], 'NX', now, run) == 0 then return { 'already', now, '' } end
return { 'requested', now, record(1, event('run.cancel_requested', ARGV[4])) }
