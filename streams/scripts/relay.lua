-- Takes the next step of a source into its lane, exactly once: a batch of the outbox, or the events after a topic's position. The lane
-- remembers how far it has come; a step that does not begin there changes nothing. What it enqueues is enqueued by enqueue.lua itself.
-- A record whose key another run has joins that run, and a note says so: whoever holds its id can follow.
--
-- KEYS: as enqueue.lua has them, then: marks
-- ARGV: as enqueue.lua has them, then: field of marks  from  to  note count  notes  header of the notes
-- Returns: as enqueue.lua does, or { "passed", now, how far it has come }
local function take() return table.remove(ARGV) end
local header, notes, count, to, from, field = take(), take(), take(), take(), take(), take()
local marks, ledger = table.remove(KEYS), KEYS[2]
local mark = redis.call('HGET', marks, field) or '0'
if mark ~= from then
  local clock = redis.call('TIME')
  return { 'passed', clock[1] * 1000 + math.floor(clock[2] / 1000), mark }
end

local function enqueue()
--@include enqueue
end

local reply = enqueue()
if reply[1] == 'ok' then
  redis.call('HSET', marks, field, to)
  local recorded = { tonumber(count) > 0 and string.sub(notes, 2, -2) or nil }
  count = tonumber(count)
  for index, holder in string.gmatch(reply[4], '(%d+) (%S+)') do
    local run, task = string.match(ARGV[7 + index * 6], '^[^%z]*%z([^%z]*)%z([^%z]*)%z')
    if run ~= holder then
      recorded[#recorded + 1] = '{"type":"run.joined","run":' .. cjson.encode(run) .. ',"task":' .. cjson.encode(task) .. ',"existing":' .. cjson.encode(holder) .. ',"at":' .. reply[2] .. '}'
      count = count + 1
    end
  end
  if count > 0 then redis.call('XADD', ledger, '*', 'h', header, 'n', count, 'events', '[' .. table.concat(recorded, ',') .. ']') end
end
return reply
