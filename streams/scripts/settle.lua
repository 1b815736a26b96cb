-- Records what became of entries that a worker holds, and moves them accordingly. All of it or nothing:
-- a call with an operation that may not be carried out is refused whole, and says which, so that the caller can leave it out.
-- An operation may be carried out when this consumer holds the entry at this very delivery.
--
-- KEYS: 1 tasks  2 again  3 events  4 scheduled  5 scheduled:entries  6 dead  7 strikes  8 cancelled  9 calls  10.. results, notes of endings, and idempotency keys
-- ARGV: 1 consumer  2 call number  3 header  4 event count  5 events  6 most dead entries kept
--       7 lowest and 8 highest id in tasks ("" none)  9 lowest and 10 highest id in again ("" none)
--       11 first deliveries in tasks that are held, and 12 those that end, with no more to it: ids with spaces between them, since arguments cost
--       most, and a pattern of one class is matched quickest; 13 the runs of the latter, with U+0000 between them; then operations:
--   h stream id delivery                      is held (run.started)
--   s stream id delivery                      is held, and strikes it
--   e stream id delivery  run                 ends it
--   m stream id delivery  run due entry       moves it to the schedule as that entry, unless its cancel was asked for
--   d stream id delivery  run task attempt reason error meta body        ends it as dead
--   r key index  ttl (ms)  value              keeps a result, or the note of an ending
--   k key index  run  until (ms)              lets an idempotency key go, then or now
-- where stream is 1 (tasks) or 2 (again). Whatever ends a run takes its cancel request away.
-- Returns: { "ok" | "repeated", now, cancel requests waiting, ledger id } or { "refused", now, cancel requests waiting, "index fenced|cancelled …", counted from the first word on } or { "stale", now }
local consumer, call, cancelled, calls = ARGV[1], tonumber(ARGV[2]), KEYS[8], KEYS[9]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local waiting = redis.call('ZCARD', cancelled)

local slot = tostring(call % 16) -- numbers cost more to hand over than text
local ring = redis.call('HMGET', calls, slot, 'kept')
local last, position = string.match(ring[1] or '0 ', '^(%d+) (%S*)')
if tonumber(last) >= call then return tonumber(last) == call and { 'repeated', now, waiting, position } or { 'stale', now } end

local held = { {}, {} }
for stream = 1, 2 do
  local from, to, here = ARGV[5 + 2 * stream], ARGV[6 + 2 * stream], held[stream]
  while from ~= '' do
    local page = redis.pcall('XPENDING', KEYS[stream], 'workers', from, to, '10000', consumer)
    if page.err and not string.find(page.err, 'NOGROUP') then return page end -- without a group nobody holds anything
    for at = 1, #page do here[page[at][1]] = page[at][4] end
    from = #page == 10000 and '(' .. page[10000][1] or ''
  end
end

local widths = { h = 4, s = 4, e = 5, m = 7, d = 11, r = 4, k = 4 }
local ops, ended, refused, hasEffects, hasStrike, seen = {}, { {}, {} }, {}, false, false, 0
for list = 11, 12 do
  local here, first = held[1], seen
  for id in string.gmatch(ARGV[list], '%S+') do
    if here[id] ~= 1 then refused[#refused + 1] = seen .. ' fenced' -- that leaves a hole below, and all is refused
    elseif list == 12 then here[id], ended[1][seen - first + 1] = nil, id end -- it ends once
    seen = seen + 1
  end
end
local i = 14
while i <= #ARGV do
  local op = ARGV[i]
  ops[#ops + 1] = i
  if op ~= 'r' and op ~= 'k' then
    local stream, id = tonumber(ARGV[i + 1]), ARGV[i + 2]
    if held[stream][id] ~= tonumber(ARGV[i + 3]) then
      refused[#refused + 1] = (seen + #ops - 1) .. ' fenced'
    elseif op == 'm' and waiting > 0 and redis.call('ZSCORE', cancelled, ARGV[i + 4]) then
      refused[#refused + 1] = (seen + #ops - 1) .. ' cancelled'
    elseif op ~= 'h' and op ~= 's' then
      held[stream][id], ended[stream][#ended[stream] + 1] = nil, id
    end
  end
  hasEffects, hasStrike = hasEffects or (op ~= 'h' and op ~= 'e'), hasStrike or op == 's'
  i = i + widths[op]
end
if #refused > 0 then return { 'refused', now, waiting, table.concat(refused, ' ') } end

-- A first write that is allowed when memory is full, and lets the rest pass: an XACK, of an id that is never pending when others go before.
if hasEffects or #ended[1] + #ended[2] == 0 then redis.call('XACK', KEYS[1], 'workers', '0-1') end
for _, at in ipairs(ops) do
  local op = ARGV[at]
  if op == 's' then
    redis.call('HINCRBY', KEYS[7], ARGV[at + 1] .. ' ' .. ARGV[at + 2], '1')
  elseif op == 'r' then
    redis.call('SET', KEYS[tonumber(ARGV[at + 1])], ARGV[at + 3], 'PX', ARGV[at + 2])
  elseif op == 'k' and redis.pcall('GET', KEYS[tonumber(ARGV[at + 1])]) == ARGV[at + 2] then -- of another type it is no key of ours
    redis.call('PEXPIREAT', KEYS[tonumber(ARGV[at + 1])], ARGV[at + 3]) -- a time that is past deletes it
  elseif op == 'm' then
    redis.call('ZADD', KEYS[4], ARGV[at + 5], ARGV[at + 4])
    redis.call('HSET', KEYS[5], ARGV[at + 4], ARGV[at + 6])
  elseif op == 'd' then
    redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[6], '*', 'run', ARGV[at + 4], 'task', ARGV[at + 5], 'attempt', ARGV[at + 6],
      'reason', ARGV[at + 7], 'error', ARGV[at + 8], 'meta', ARGV[at + 9], 'body', ARGV[at + 10])
  end
  if op == 'e' or op == 'm' or op == 'd' then
    if hasStrike or tonumber(ARGV[at + 3]) > 1 then redis.call('HDEL', KEYS[7], ARGV[at + 1] .. ' ' .. ARGV[at + 2]) end
    if op ~= 'm' and waiting > 0 then waiting = waiting - redis.call('ZREM', cancelled, ARGV[at + 4]) end
  end
end
for run in string.gmatch(waiting > 0 and ARGV[13] or '', '[^%z]+') do waiting = waiting - redis.call('ZREM', cancelled, run) end
for stream = 1, 2 do
  for from = 1, #ended[stream], 1000 do
    local to = math.min(from + 999, #ended[stream])
    redis.call('XACK', KEYS[stream], 'workers', unpack(ended[stream], from, to))
    redis.call('XDEL', KEYS[stream], unpack(ended[stream], from, to))
  end
end

position = tonumber(ARGV[4]) > 0 and redis.call('XADD', KEYS[3], '*', 'h', ARGV[3], 'n', ARGV[4], 'events', ARGV[5]) or ''
local isKept = tonumber(ring[2] or '0') > now + 3600000
redis.call('HSET', calls, slot, call .. ' ' .. position, 'kept', isKept and ring[2] or now + 7200000)
if not isKept then redis.call('PEXPIRE', calls, 7200000) end
return { 'ok', now, waiting, position }
