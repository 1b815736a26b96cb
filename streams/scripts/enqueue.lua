-- Appends runs to their queue, or to the schedule when they are due later, and records that they were enqueued.
-- The only script that may be refused for want of memory: nothing of it has happened then.
--
-- KEYS: 1 tasks  2 events  3 scheduled  4 scheduled:entries  5 calls  6.. idempotency keys
-- ARGV: 1 call number  2 deadline (ms, 0 none)  3 header  4 event count  5 events ("" when the records carry their own)  6 "plain" | "mixed"
--       plain records, 5 each:  run task expires meta body
--       mixed records, 10 each: run task expires meta body  due (ms, 0 now)  key index (0 none)  key name  key ttl (ms)  event
-- Returns: { "ok" | "repeated", now, entry ids joined by " " ("-" for scheduled), exceptions "index run …", ledger id } or { "late" | "stale", now }
local tasks, events, scheduled, entries, calls = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local call, deadline = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local slot = call % 16
local seen = redis.call('HGET', calls, slot)
if seen then
  local number, exceptions = string.match(seen, '^(%d+) (.*)$')
  number = tonumber(number)
  if number == call then return { 'repeated', now, '', exceptions, '' } end
  if number > call then return { 'stale', now } end
end
if deadline > 0 and now > deadline then return { 'late', now } end

local ids, exceptions = {}, {}
local ledger = ARGV[5]
local count = tonumber(ARGV[4])
if ARGV[6] == 'plain' then
  for i = 7, #ARGV, 5 do
    ids[#ids + 1] = redis.call('XADD', tasks, '*', 'v', 1, 'run', ARGV[i], 'task', ARGV[i + 1], 'attempt', 1, 'key', '',
      'expires', ARGV[i + 2], 'meta', ARGV[i + 3], 'body', ARGV[i + 4])
  end
else
  local accepted = {}
  for i = 7, #ARGV, 10 do
    local run, due, index = ARGV[i], tonumber(ARGV[i + 5]), tonumber(ARGV[i + 6])
    local taken = false
    if index > 0 then
      taken = redis.call('SET', KEYS[5 + index], run, 'NX', 'GET', 'PX', ARGV[i + 8])
    end
    if taken then
      exceptions[#exceptions + 1] = ((i - 7) / 10) .. ' ' .. taken
      ids[#ids + 1] = '-'
    else
      accepted[#accepted + 1] = ARGV[i + 9]
      if due > now then
        redis.call('ZADD', scheduled, due, run)
        redis.call('HSET', entries, run, cmsgpack.pack({ '1', run, ARGV[i + 1], '1', ARGV[i + 7], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4] }))
        ids[#ids + 1] = '-'
      else
        ids[#ids + 1] = redis.call('XADD', tasks, '*', 'v', 1, 'run', run, 'task', ARGV[i + 1], 'attempt', 1, 'key', ARGV[i + 7],
          'expires', ARGV[i + 2], 'meta', ARGV[i + 3], 'body', ARGV[i + 4])
      end
    end
  end
  if ledger == '' then
    ledger = '[' .. table.concat(accepted, ',') .. ']'
    count = #accepted
  end
end

local position = ''
if count > 0 then position = redis.call('XADD', events, '*', 'h', ARGV[3], 'n', count, 'events', ledger) end
local told = table.concat(exceptions, ' ')
redis.call('HSET', calls, slot, call .. ' ' .. told)
redis.call('PEXPIRE', calls, 3600000)
return { 'ok', now, table.concat(ids, ' '), told, position }
