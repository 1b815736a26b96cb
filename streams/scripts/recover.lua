-- Finds entries that were delivered once and that no consumer holds, a chunk at a time, and gives them to the caller.
-- They are what a deleted consumer, or a group that was made anew, leaves behind.
--
-- KEYS: 1 stream (tasks or again)  2 events  3 tasks
-- ARGV: 1 consumer  2 stream number  3 from (id, exclusive)  4 chunk  5 room  6 header
-- Returns: { next from ("" when the chunk reached what was never delivered), now, { { stream, id, delivery, "left", 0, fields }, … } }
local stream, me, chunk, room = KEYS[1], ARGV[1], tonumber(ARGV[4]), tonumber(ARGV[5])
redis.call('XACK', KEYS[3], 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('EXISTS', stream) == 0 then return { '', now, {} } end

local delivered
for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  if group[2] == 'workers' then
    for i = 1, #group, 2 do if group[i] == 'last-delivered-id' then delivered = group[i + 1] end end
  end
end
if not delivered or delivered == '0-0' then return { '', now, {} } end

local entries = redis.call('XRANGE', stream, '(' .. ARGV[3], delivered, 'COUNT', chunk)
if #entries == 0 then return { '', now, {} } end
local held = {}
for _, row in ipairs(redis.call('XPENDING', stream, 'workers', entries[1][1], entries[#entries][1], chunk)) do held[row[1]] = true end

local found, events = {}, {}
local function field(fields, name)
  for i = 1, #fields, 2 do if fields[i] == name then return fields[i + 1] end end
  return ''
end
for _, entry in ipairs(entries) do
  if not held[entry[1]] and #found < room then
    redis.call('XCLAIM', stream, 'workers', me, 0, entry[1], 'FORCE')
    local fields = entry[2]
    found[#found + 1] = { tonumber(ARGV[2]), entry[1], 1, 'left', 0, fields }
    events[#events + 1] = '{"type":"run.recovered","run":' .. cjson.encode(field(fields, 'run')) .. ',"task":' .. cjson.encode(field(fields, 'task'))
      .. ',"attempt":' .. (tonumber(field(fields, 'attempt')) or 0) .. ',"delivery":1,"to":' .. cjson.encode(me) .. '}'
  end
end
if #events > 0 then redis.call('XADD', KEYS[2], '*', 'h', ARGV[6], 'n', #events, 'events', '[' .. table.concat(events, ',') .. ']') end
return { #entries < chunk and '' or entries[#entries][1], now, found }
