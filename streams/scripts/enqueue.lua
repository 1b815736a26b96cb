-- Appends runs to their queue, or to the schedule when they are due later, and records that they were enqueued.
-- The only script but fire that may be refused for want of memory: nothing of it has happened then.
--
-- KEYS: 1 tasks  2 events  3 scheduled  4 scheduled:entries  5 calls  6.. idempotency keys, and last, when it asks, meta
-- ARGV: 1 call number  2 deadline (ms, 0 none)  3 header  4 event count  5 events ("" when the records carry their own)  6 "plain" | "mixed"; "plain?" | "mixed?" asks whether the lane takes any
--       plain records, 1 each: entry
--       mixed records, 6 each: entry  due (ms, 0 now)  key index (0 none)  key ttl (ms)  event count  events
-- Returns: { "ok" | "repeated", now, entry ids joined by " " ("-" for scheduled), exceptions "index run …", ledger id } or { "late" | "stale" | "full", now }
local tasks, events, scheduled, entries, calls = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local call, deadline = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local slot = tostring(call % 16) -- numbers cost more to hand over than text
local ring = redis.call('HMGET', calls, slot, 'kept')
local seen, position, told = string.match(ring[1] or '0  ', '^(%d+) (%S*) ?(.*)$')
if tonumber(seen) == call then return { 'repeated', now, '', told, position } end
if tonumber(seen) > call then return { 'stale', now } end
if deadline > 0 and now > deadline then return { 'late', now } end
local form = ARGV[6]
if form == 'plain?' or form == 'mixed?' then
  if redis.call('HGET', KEYS[#KEYS], 'full') then return { 'full', now } end
  form = string.sub(form, 1, 5)
end

local ids, exceptions = {}, {}
local ledger, count = ARGV[5], tonumber(ARGV[4])
if form == 'plain' then
  for i = 7, #ARGV do ids[i - 6] = redis.call('XADD', tasks, '*', 'e', ARGV[i]) end
else
  local recorded = { ledger ~= '' and string.sub(ledger, 2, -2) or nil }
  for i = 7, #ARGV, 6 do
    local run, task = string.match(ARGV[i], '^[^%z]*%z([^%z]*)%z([^%z]*)%z')
    local due, index = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
    local holder = index > 0 and redis.pcall('SET', KEYS[5 + index], run, 'NX', 'GET', 'PX', ARGV[i + 3])
    if holder and (holder.err or not string.find(holder, '^[%x-]+$')) then -- what somebody else wrote there is no run, and holds nothing
      redis.call('SET', KEYS[5 + index], run, 'PX', ARGV[i + 3])
      holder = false
    end
    if holder then
      exceptions[#exceptions + 1] = ((i - 7) / 6) .. ' ' .. holder
      ids[#ids + 1] = '-'
    else
      if ledger == '' then
        recorded[#recorded + 1] = ARGV[i + 5]
        count = count + tonumber(ARGV[i + 4])
      end
      if due > now then
        redis.call('ZADD', scheduled, ARGV[i + 1], run)
        redis.call('HSET', entries, run, ARGV[i])
        ids[#ids + 1] = '-'
      else
        ids[#ids + 1] = redis.call('XADD', tasks, '*', 'e', ARGV[i])
        if due > 0 then -- it became due on the way here
          recorded[#recorded + 1] = '{"type":"run.due","run":' .. cjson.encode(run) .. ',"task":' .. cjson.encode(task) .. ',"attempt":1,"at":' .. now .. '}'
          count = count + 1
        end
      end
    end
  end
  ledger = '[' .. table.concat(recorded, ',') .. ']'
end

position = ''
if count > 0 then position = redis.call('XADD', events, '*', 'h', ARGV[3], 'n', count, 'events', ledger) end
told = table.concat(exceptions, ' ')
local isKept = tonumber(ring[2] or '0') > now + 3600000
redis.call('HSET', calls, slot, call .. ' ' .. position .. ' ' .. told, 'kept', isKept and ring[2] or now + 7200000)
if not isKept then redis.call('PEXPIRE', calls, 7200000) end
return { 'ok', now, table.concat(ids, ' '), told, position }
