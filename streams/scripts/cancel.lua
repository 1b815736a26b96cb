-- Ends a run that is scheduled, or that waits and whose entry the caller knows. Of any other it records the request,
-- once, for whoever owns the run to act on.
--
-- KEYS: 1 scheduled  2 scheduled:entries  3 tasks  4 events  5 cancelled  6 strikes  7 calls  8 note of the ending
-- ARGV: 1 run  2 entry id ("" unknown)  3 header  4 task ("" unknown)  5 reason as a JSON string ("" none)  6 call number
-- Returns: { "cancelled" | "requested" | "already", now, ledger id } or { "stale", now }
local run, entry, call, calls = ARGV[1], ARGV[2], tonumber(ARGV[6]), KEYS[7]
redis.call('XACK', KEYS[3], 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local seen, position, told = string.match(redis.call('HGET', calls, call % 16) or '0  ', '^(%d+) (%S*) ?(.*)$')
if tonumber(seen) == call then return { told, now, position } end
if tonumber(seen) > call then return { 'stale', now } end

local function event(kind, task)
  return '{"type":"' .. kind .. '","run":' .. cjson.encode(run) .. (task ~= '' and ',"task":' .. cjson.encode(task) or '')
    .. (ARGV[5] ~= '' and ',"reason":' .. ARGV[5] or '') .. ',"at":' .. now .. '}'
end
local function answer(status, count, events)
  local id = count > 0 and redis.call('XADD', KEYS[4], '*', 'h', ARGV[3], 'n', count, 'events', '[' .. events .. ']') or ''
  redis.call('HSET', calls, call % 16, call .. ' ' .. id .. ' ' .. status, 'kept', now + 7200000)
  redis.call('PEXPIRE', calls, 7200000)
  return { status, now, id }
end
local function finish(task, key, meta)
  redis.call('ZREM', KEYS[5], run)
  local tag = string.match(KEYS[1], '^{[^}]*}:')
  if string.sub(key, 1, #tag) == tag and redis.call('GET', key) == run then
    redis.call('PEXPIREAT', key, string.match(meta, '"keyUntil":(%d+)') or '0') -- a time that is past deletes it
  end
  return answer('cancelled', 2, event('run.cancel_requested', task) .. ',' .. event('run.cancelled', task))
end

local PARTS = '^[^%z]*%z([^%z]*)%z([^%z]*)%z([^%z]*)%z([^%z]*)%z[^%z]*%z([^%z]*)' -- run task attempt key meta
local packed = redis.call('HGET', KEYS[2], run)
if packed then
  local due = redis.call('ZSCORE', KEYS[1], run)
  redis.call('ZREM', KEYS[1], run)
  redis.call('HDEL', KEYS[2], run)
  local _, task, attempt, key, meta = string.match(packed, PARTS)
  if attempt ~= '1' and string.find(meta or '', '"cron":{', 1, true) then -- over the wait for another try it keeps its overlap lock, for no more than a day after it, or so
    redis.call('SET', KEYS[8], '1', 'PX', string.format('%.0f', math.max(0, tonumber(due or '0') - now) + 86400000))
  end
  return finish(task or '', key or '', meta or '')
end
local found = entry ~= '' and redis.call('XRANGE', KEYS[3], entry, entry)[1]
local owner, task, _, key, meta = string.match(found and found[2][1] == 'e' and found[2][2] or '', PARTS)
if owner == run then
  local holders = redis.pcall('XPENDING', KEYS[3], 'workers', entry, entry, 1)
  if holders.err and not string.find(holders.err, 'NOGROUP') then return holders end -- without a group nobody holds anything
  if #holders == 0 then
    redis.call('XDEL', KEYS[3], entry)
    redis.call('HDEL', KEYS[6], '1 ' .. entry)
    return finish(task, key, meta)
  end
end
if redis.call('ZADD', KEYS[5], 'NX', now, run) == 0 then return answer('already', 0, '') end
return answer('requested', 1, event('run.cancel_requested', ARGV[4]))
