-- Takes over entries of workers whose lease has lapsed, or who left. Adopts consumers that hold entries without a lease:
-- they get one, and a later call takes from them. Never takes from the caller, and in a grace only from those who left.
--
-- KEYS: 1 tasks  2 again  3 workers  4 meta  5 events  6 strikes
-- ARGV: 1 consumer  2 lease (ms)  3 room  4 header  5 most bytes
-- Returns: { "taken" | "grace", now, { { stream, id, delivery, "lapsed" | "left", strikes, fields }, … }, lost count, ledger id }
--@include parts/taken
local workers, meta, me = KEYS[3], KEYS[4], ARGV[1]
local lease, room, bytes = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])
redis.call('XACK', KEYS[1], 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', meta, 'last', 'grace', 'lease')
local last, grace = tonumber(known[1] or '0'), tonumber(known[2] or '0')
local longest = math.max(lease, tonumber(known[3] or '0')) -- in the lane: a lease or a grace beyond it comes from a clock that was set back
local isGrace = math.abs(now - last) > lease / 2 or (now < grace and grace <= now + longest)
local limit = isGrace and 0 or now
if redis.call('ZSCORE', workers, me) == '0' then room = 0 end

local taken, events, lost = {}, {}, 0
local function record(body) events[#events + 1] = body .. ',"at":' .. now .. '}' end
local function take(stream, from, why)
  local name = cjson.encode((string.gsub(from, '~left$', '')))
  for _, row in ipairs(redis.call('XPENDING', KEYS[stream], 'workers', '-', '+', room, from)) do
    if room <= 0 then return end
    local claimed = redis.call('XCLAIM', KEYS[stream], 'workers', me, 0, row[1])
    local fields = claimed[1] and claimed[1][2]
    local mark = stream .. ' ' .. row[1]
    if not fields then
      redis.call('XACK', KEYS[stream], 'workers', row[1])
      redis.call('HDEL', KEYS[6], mark)
      lost = lost + 1
      record('{"type":"run.lost","entry":"' .. row[1] .. '","from":' .. name)
    else
      bytes = bytes - #fields[2]
      room = bytes > 0 and room - 1 or 0
      taken[#taken + 1] = { stream, row[1], row[4] + 1, why, tonumber(redis.call('HGET', KEYS[6], mark) or '0'), fields }
      record('{"type":"' .. (why == 'left' and 'run.released' or 'run.redelivered') .. '",' .. told(KEYS[stream], stream, row[1], fields)
        .. ',"delivery":' .. (row[4] + 1) .. ',"from":' .. name .. ',"' .. (why == 'left' and 'worker' or 'to') .. '":' .. cjson.encode(me))
    end
  end
end

for stream = 1, 2 do
  local summary = redis.pcall('XPENDING', KEYS[stream], 'workers') -- no group yet: nobody holds anything
  for _, row in ipairs(summary[4] or {}) do
    local holder = row[1]
    local expiry = tonumber(redis.call('ZSCORE', workers, holder) or '-1')
    if expiry < 0 or expiry > now + longest then
      redis.call('ZADD', workers, now + lease, holder)
    elseif holder ~= me and expiry <= limit and room > 0 then
      take(stream, holder, expiry == 0 and 'left' or 'lapsed')
    end
  end
end

for _, gone in ipairs(redis.call('ZRANGEBYSCORE', workers, '-inf', limit)) do
  local holds = 0
  for stream = 1, 2 do holds = holds + #redis.pcall('XPENDING', KEYS[stream], 'workers', '-', '+', 1, gone) end
  if gone ~= me and holds == 0 then
    if redis.call('ZSCORE', workers, gone) ~= '0' then record('{"type":"worker.lost","worker":' .. cjson.encode(gone) .. ',"by":' .. cjson.encode(me)) end
    for stream = 1, 2 do redis.pcall('XGROUP', 'DELCONSUMER', KEYS[stream], 'workers', gone) end
    redis.call('ZREM', workers, gone)
  end
end
local position = ''
if #events > 0 then
  position = redis.call('XADD', KEYS[5], '*', 'h', ARGV[4], 'n', #events, 'events', '[' .. table.concat(events, ',') .. ']')
end
return { isGrace and #taken == 0 and 'grace' or 'taken', now, taken, lost, position }
