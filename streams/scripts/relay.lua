-- Takes the next step of a source into its lane, exactly once: a batch of the outbox, or the events after a topic's position. The lane
-- remembers how far it has come; a step that does not begin there changes nothing. What it enqueues is enqueued by enqueue.lua itself.
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
  if tonumber(count) > 0 then redis.call('XADD', ledger, '*', 'h', header, 'n', count, 'events', notes) end
end
return reply
