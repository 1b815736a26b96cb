-- Appends runs again that the archive knows as dispatched and not ended, and that this lane has lost with its history, and records that.
-- Those of one call of a producer, or of one firing, at a time: and nothing when that call was made again since the caller looked, for then
-- its runs are here. It is remembered as made, so that it finds itself repeated when it comes again.
--
-- KEYS: 1 meta  2 tasks  3 events  4 scheduled  5 scheduled:entries  6 cancelled  7 calls of the producer  8 cron  9.. idempotency keys
-- ARGV: 1 token of the repair, a blank, and a name of this call  2 header  3 call number (0 or less: none)  4 what is remembered at its place, as the caller knows it ("" nothing)
--       5 schedule ("" none)  6 its last slot, as the caller knows it ("" none)  7 the slot
--       then, 6 each: entry  due (ms, 0 now)  key index (0 none)  key ttl (ms)  cancel asked for (ms, 0 not)  event
-- Returns: { "restored", now, ledger id } or { "changed" | "lost" (the repair is another's), now }
local meta, tasks, events, calls, cron = KEYS[1], KEYS[2], KEYS[3], KEYS[7], KEYS[8]
redis.call('XACK', tasks, 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local call, schedule, slot = tonumber(ARGV[3]), ARGV[5], ARGV[7]
local repair = redis.call('HMGET', meta, 'repair', 'repairCall')
if repair[1] ~= string.match(ARGV[1], '^%S+') then return { 'lost', now } end
if repair[2] == ARGV[1] then return { 'changed', now } end -- by this very call, whose answer was lost
if call > 0 and (redis.call('HGET', calls, call % 16) or '') ~= ARGV[4] then return { 'changed', now } end
if schedule ~= '' and (redis.call('HGET', cron, 'last:' .. schedule) or '') ~= ARGV[6] then return { 'changed', now } end

local recorded = {}
for i = 8, #ARGV, 6 do
  local run = string.match(ARGV[i], '^[^%z]*%z([^%z]*)')
  local due, index = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  -- Whoever has taken the key meanwhile keeps it: both were promised to run.
  if index > 0 then redis.call('SET', KEYS[8 + index], run, 'NX', 'PX', ARGV[i + 3]) end
  if due > 0 then
    redis.call('ZADD', KEYS[4], ARGV[i + 1], run)
    redis.call('HSET', KEYS[5], run, ARGV[i])
  else
    redis.call('XADD', tasks, '*', 'e', ARGV[i])
  end
  if ARGV[i + 4] ~= '0' then redis.call('ZADD', KEYS[6], 'NX', ARGV[i + 4], run) end
  recorded[#recorded + 1] = ARGV[i + 5]
end
redis.call('HSET', meta, 'repairCall', ARGV[1])
local id = redis.call('XADD', events, '*', 'h', ARGV[2], 'n', #recorded, 'events', '[' .. table.concat(recorded, ',') .. ']')
if call > 0 and tonumber(string.match(ARGV[4], '^%d+') or '0') < call then
  redis.call('HSET', calls, call % 16, call .. ' ' .. id .. ' ', 'kept', now + 7200000)
  redis.call('PEXPIRE', calls, 7200000)
end
if schedule ~= '' and tonumber(ARGV[6] == '' and '0' or ARGV[6]) < tonumber(slot) then
  redis.call('HSET', cron, 'last:' .. schedule, slot, 'fired:' .. schedule, slot)
  redis.call('HINCRBY', cron, 'count:' .. schedule, 1)
end
return { 'restored', now, id }
