-- Finds entries that were delivered once and that no consumer holds, a chunk at a time, and gives them to the caller.
-- They are what a deleted consumer leaves behind.
--
-- KEYS: 1 stream (tasks or again)  2 events  3 tasks  4 strikes
-- ARGV: 1 consumer  2 stream number  3 from (id, exclusive)  4 chunk  5 room  6 header
-- Returns: { next from ("" when the chunk reached what was never delivered), now, { { stream, id, delivery, "left", strikes, fields }, … } }
--@include parts/taken
local stream, me, chunk, room = KEYS[1], ARGV[1], tonumber(ARGV[4]), tonumber(ARGV[5])
redis.call('XACK', KEYS[3], 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('EXISTS', stream) == 0 then return { '', now, {} } end

local delivered = '0-0'
for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  if group[2] == 'workers' then
    for i = 1, #group, 2 do if group[i] == 'last-delivered-id' then delivered = group[i + 1] end end
  end
end
if delivered == '0-0' then return { '', now, {} } end
local entries = redis.call('XRANGE', stream, '(' .. ARGV[3], delivered, 'COUNT', chunk)
if #entries == 0 then return { '', now, {} } end
-- Of held ids whose entries are gone there may be any number in between, so that these are not all that are held.
local held = {}
for _, row in ipairs(redis.call('XPENDING', stream, 'workers', entries[1][1], entries[#entries][1], chunk)) do held[row[1]] = true end

local found, events = {}, {}
local next = #entries < chunk and '' or entries[#entries][1]
for i, entry in ipairs(entries) do
  local id, fields = entry[1], entry[2]
  if not held[id] and #redis.call('XPENDING', stream, 'workers', id, id, 1) == 0 then
    if #found >= room then
      next = i > 1 and entries[i - 1][1] or ARGV[3]
      break
    end
    -- How often it had been delivered is not known any more: a number above that, which grows with time.
    local delivery = math.min(60000, 100 + math.floor(math.abs(now - tonumber(string.match(id, "^%d+"))) / 1000))
    redis.call('XCLAIM', stream, 'workers', me, 0, id, 'RETRYCOUNT', delivery, 'FORCE')
    found[#found + 1] = { tonumber(ARGV[2]), id, delivery, 'left', tonumber(redis.call('HGET', KEYS[4], ARGV[2] .. ' ' .. id) or '0'), fields }
    events[#events + 1] = '{"type":"run.recovered",' .. told(stream, ARGV[2], id, fields) .. ',"delivery":' .. delivery
      .. ',"to":' .. cjson.encode(me) .. ',"at":' .. now .. '}'
  end
end
if #events > 0 then redis.call('XADD', KEYS[2], '*', 'h', ARGV[6], 'n', #events, 'events', '[' .. table.concat(events, ',') .. ']') end
return { next, now, found }
