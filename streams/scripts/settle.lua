-- Records what became of entries that a worker holds, and moves them accordingly. All of it or nothing:
-- a call with an operation that may not be carried out is refused whole, and says which, so that the caller can leave it out.
-- An operation may be carried out when this consumer holds the entry at this very delivery.
--
-- KEYS: 1 tasks  2 again  3 events  4 scheduled  5 scheduled:entries  6 dead  7 strikes  8 cancelled  9 calls  10.. results and idempotency keys
-- ARGV: 1 consumer  2 call number  3 header  4 event count  5 events  6 most dead entries kept, then operations:
--   h stream id delivery                      is held (run.started)
--   s stream id delivery                      is held, and strikes it
--   e stream id delivery                      ends it
--   m stream id delivery  run due task attempt key expires meta body     moves it to the schedule, unless its cancel was asked for
--   d stream id delivery  run task attempt reason error meta body        ends it as dead
--   r key index  ttl (ms)  value              keeps a result
--   k key index  run  until (ms)              lets an idempotency key go, then or now
--   c run                                     takes a cancel request away
-- where stream is 1 (tasks) or 2 (again).
-- Returns: { "ok" | "repeated", now, cancel requests waiting, ledger id } or { "refused", now, cancel requests waiting, "index fenced|cancelled …" } or { "stale", now }
local consumer, call = ARGV[1], tonumber(ARGV[2])
local calls, cancelled = KEYS[9], KEYS[8]
redis.call('XACK', KEYS[1], 'workers', '0-1') -- an id that is never pending: a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local waiting = redis.call('ZCARD', cancelled)

local slot = call % 16
local seen = redis.call('HGET', calls, slot)
if seen then
  local number = tonumber(string.match(seen, '^%d+'))
  if number == call then return { 'repeated', now, waiting, '' } end
  if number > call then return { 'stale', now } end
end

local widths = { h = 4, s = 4, e = 4, m = 12, d = 11, r = 4, k = 4, c = 2 }
local lowest, highest, ops = { {}, {} }, { {}, {} }, {}
local function less(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end
local i = 7
while i <= #ARGV do
  local op = ARGV[i]
  ops[#ops + 1] = i
  if op == 'h' or op == 's' or op == 'e' or op == 'm' or op == 'd' then
    local stream = tonumber(ARGV[i + 1])
    local ms, seq = string.match(ARGV[i + 2], '^(%d+)-(%d+)$')
    local id = { tonumber(ms), tonumber(seq), ARGV[i + 2] }
    if not lowest[stream][3] or less(id, lowest[stream]) then lowest[stream] = id end
    if not highest[stream][3] or less(highest[stream], id) then highest[stream] = id end
  end
  i = i + widths[op]
end

local held = { {}, {} }
for stream = 1, 2 do
  if lowest[stream][3] then
    local pending = redis.pcall('XPENDING', KEYS[stream], 'workers', lowest[stream][3], highest[stream][3], 10000, consumer)
    for _, entry in ipairs(pending.err and {} or pending) do held[stream][entry[1]] = entry[4] end
  end
end

local refused = {}
for number, at in ipairs(ops) do
  local op = ARGV[at]
  if op ~= 'r' and op ~= 'k' and op ~= 'c' then
    if held[tonumber(ARGV[at + 1])][ARGV[at + 2]] ~= tonumber(ARGV[at + 3]) then
      refused[#refused + 1] = (number - 1) .. ' fenced'
    elseif op == 'm' and waiting > 0 and redis.call('ZSCORE', cancelled, ARGV[at + 4]) then
      refused[#refused + 1] = (number - 1) .. ' cancelled'
    end
  end
end
if #refused > 0 then return { 'refused', now, waiting, table.concat(refused, ' ') } end

local ended = { {}, {} }
local striking = redis.call('HLEN', KEYS[7]) > 0
for _, at in ipairs(ops) do
  local op = ARGV[at]
  if op == 'e' or op == 'm' or op == 'd' then
    local stream = tonumber(ARGV[at + 1])
    ended[stream][#ended[stream] + 1] = ARGV[at + 2]
    if striking then redis.call('HDEL', KEYS[7], stream .. ' ' .. ARGV[at + 2]) end
  end
  if op == 's' then
    redis.call('HINCRBY', KEYS[7], ARGV[at + 1] .. ' ' .. ARGV[at + 2], 1)
  elseif op == 'm' then
    local run = ARGV[at + 4]
    redis.call('ZADD', KEYS[4], ARGV[at + 5], run)
    redis.call('HSET', KEYS[5], run, cmsgpack.pack({ '1', run, ARGV[at + 6], ARGV[at + 7], ARGV[at + 8], ARGV[at + 9], ARGV[at + 10], ARGV[at + 11] }))
  elseif op == 'd' then
    redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[6], '*', 'run', ARGV[at + 4], 'task', ARGV[at + 5], 'attempt', ARGV[at + 6],
      'reason', ARGV[at + 7], 'error', ARGV[at + 8], 'meta', ARGV[at + 9], 'body', ARGV[at + 10])
  elseif op == 'r' then
    redis.call('SET', KEYS[tonumber(ARGV[at + 1])], ARGV[at + 3], 'PX', ARGV[at + 2])
  elseif op == 'k' then
    local key, untilMs = KEYS[tonumber(ARGV[at + 1])], tonumber(ARGV[at + 3])
    if redis.call('GET', key) == ARGV[at + 2] then
      if untilMs <= now then redis.call('DEL', key) else redis.call('PEXPIREAT', key, untilMs) end
    end
  elseif op == 'c' then
    redis.call('ZREM', cancelled, ARGV[at + 1])
  end
end
for stream = 1, 2 do
  for from = 1, #ended[stream], 1000 do
    local slice = { unpack(ended[stream], from, math.min(from + 999, #ended[stream])) }
    redis.call('XACK', KEYS[stream], 'workers', unpack(slice))
    redis.call('XDEL', KEYS[stream], unpack(slice))
  end
end
local position = ''
if tonumber(ARGV[4]) > 0 then position = redis.call('XADD', KEYS[3], '*', 'h', ARGV[3], 'n', ARGV[4], 'events', ARGV[5]) end
redis.call('HSET', calls, slot, call .. ' ')
redis.call('PEXPIRE', calls, 3600000)
return { 'ok', now, waiting, position }
