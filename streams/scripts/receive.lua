-- Gives a worker an entry that it holds and never received, because the reply that brought it was lost.
-- The delivery count goes up by one, which makes the lost delivery void. What is held by another by now is left alone.
-- It is recorded, for the delivery before may have been begun: a worker that lost its lease forgets what it ran, and gets it back here.
--
-- KEYS: 1 stream (tasks or again)  2 events  3 strikes
-- ARGV: 1 consumer  2 stream number  3 id  4 delivery  5 header
-- Returns: { "received", now, delivery, strikes, fields } or { "lost" (its entry is gone) | "moved" (it is not held at this delivery), now }
--@include parts/taken
local me, id, mark = ARGV[1], ARGV[3], ARGV[2] .. ' ' .. ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local row = redis.pcall('XPENDING', KEYS[1], 'workers', id, id, 1, me)[1] -- no group: nothing is held
if not row or row[4] ~= tonumber(ARGV[4]) then return { 'moved', now } end

local claimed = redis.call('XCLAIM', KEYS[1], 'workers', me, 0, id) -- allowed when memory is full, and lets the rest pass
if claimed[1] and claimed[1][2] then
  local fields = claimed[1][2]
  redis.call('XADD', KEYS[2], '*', 'h', ARGV[5], 'n', 1, 'events', '[{"type":"run.recovered",' .. told(KEYS[1], ARGV[2], id, fields)
    .. ',"delivery":' .. (row[4] + 1) .. ',"to":' .. cjson.encode(me) .. ',"at":' .. now .. '}]')
  return { 'received', now, row[4] + 1, tonumber(redis.call('HGET', KEYS[3], mark) or '0'), fields }
end
redis.call('XACK', KEYS[1], 'workers', id)
redis.call('HDEL', KEYS[3], mark)
redis.call('XADD', KEYS[2], '*', 'h', ARGV[5], 'n', 1, 'events', '[{"type":"run.lost","entry":"' .. id .. '","from":' .. cjson.encode(me) .. ',"at":' .. now .. '}]')
return { 'lost', now }
