-- Takes over entries of workers whose lease has lapsed, or who left. Adopts consumers that hold entries without a lease:
-- they get one, and a later call takes from them. Never takes from the caller, and from nobody while Redis itself was away.
--
-- KEYS: 1 tasks  2 again  3 workers  4 meta  5 events  6 strikes
-- ARGV: 1 consumer  2 lease (ms)  3 room  4 header
-- Returns: { "taken" | "grace", now, { { stream, id, delivery, "lapsed" | "left", strikes, fields }, … }, lost count, ledger id }
local workers, meta, me = KEYS[3], KEYS[4], ARGV[1]
local lease, room = tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('XACK', KEYS[1], 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local beat = redis.call('HMGET', meta, 'last', 'grace')
local last, grace = tonumber(beat[1] or '0'), tonumber(beat[2] or '0')
if math.abs(now - last) > lease / 2 or (now < grace and grace <= now + lease) then return { 'grace', now, {}, 0, '' } end

local taken, events, lost = {}, {}, 0
local function field(fields, name)
  for i = 1, #fields, 2 do if fields[i] == name then return fields[i + 1] end end
  return ''
end
local function record(body) events[#events + 1] = body end
local function take(stream, from, why)
  local pending = redis.call('XPENDING', KEYS[stream], 'workers', '-', '+', room, from)
  for _, row in ipairs(pending) do
    local claimed = redis.call('XCLAIM', KEYS[stream], 'workers', me, 0, row[1])
    local fields = claimed[1] and claimed[1][2]
    if not fields then
      redis.call('XACK', KEYS[stream], 'workers', row[1])
      lost = lost + 1
      record('{"type":"run.lost","entry":"' .. row[1] .. '"}')
    else
      room = room - 1
      local strikes = tonumber(redis.call('HGET', KEYS[6], stream .. ' ' .. row[1]) or '0')
      taken[#taken + 1] = { stream, row[1], row[4] + 1, why, strikes, fields }
      local trace = string.match(field(fields, 'meta'), '"traceparent":"([%x%-]+)"')
      record('{"type":"' .. (why == 'left' and 'run.released' or 'run.redelivered') .. '","run":' .. cjson.encode(field(fields, 'run'))
        .. ',"task":' .. cjson.encode(field(fields, 'task')) .. ',"attempt":' .. (tonumber(field(fields, 'attempt')) or 0)
        .. ',"delivery":' .. (row[4] + 1) .. ',"from":' .. cjson.encode(from) .. ',"' .. (why == 'left' and 'worker' or 'to') .. '":' .. cjson.encode(me)
        .. (trace and ',"traceparent":"' .. trace .. '"' or '') .. '}')
    end
  end
end

local holders = {}
for stream = 1, 2 do
  local summary = redis.pcall('XPENDING', KEYS[stream], 'workers') -- no group yet: nobody holds anything
  for _, row in ipairs(summary[4] or {}) do
    local holder = row[1]
    local score = redis.call('ZSCORE', workers, holder)
    if not score or tonumber(score) > now + lease then
      redis.call('ZADD', workers, now + lease, holder)
    elseif holder ~= me and tonumber(score) <= now and room > 0 then
      take(stream, holder, tonumber(score) == 0 and 'left' or 'lapsed')
    end
    holders[holder] = true
  end
end

for _, gone in ipairs(redis.call('ZRANGEBYSCORE', workers, '-inf', now)) do
  local holds = 0
  for stream = 1, 2 do
    if holders[gone] then holds = holds + #redis.call('XPENDING', KEYS[stream], 'workers', '-', '+', 1, gone) end
  end
  if gone ~= me and holds == 0 then
    local left = tonumber(redis.call('ZSCORE', workers, gone)) == 0
    for stream = 1, 2 do redis.pcall('XGROUP', 'DELCONSUMER', KEYS[stream], 'workers', gone) end
    redis.call('ZREM', workers, gone)
    if not left then record('{"type":"worker.lost","worker":' .. cjson.encode(gone) .. ',"by":' .. cjson.encode(me) .. '}') end
  end
end
local position = ''
if #events > 0 then
  position = redis.call('XADD', KEYS[5], '*', 'h', ARGV[4], 'n', #events, 'events', '[' .. table.concat(events, ',') .. ']')
end
return { 'taken', now, taken, lost, position }
