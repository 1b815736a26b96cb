-- Keeps the ledger of a lane that has no archive within a bound: the oldest goes first. One that is archived is trimmed by whoever archives it,
-- below what is archived; of that, only what its projector has said must give when it cannot keep up gives here, since the projector may be gone.
--
-- KEYS: 1 events  2 meta  3 tasks
-- ARGV: 1 most bytes, about  2 header for the record of a gap
-- Returns: { "bounded" | "archived", now, how many entries went }
--@include parts/fullness
local events, most = KEYS[1], tonumber(ARGV[1])
redis.call('XACK', KEYS[3], 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HGET', KEYS[2], 'archived') then return { 'archived', now, relieve(events, KEYS[2], now, ARGV[2]) } end
local bytes = redis.call('MEMORY', 'USAGE', events) or 0
if bytes <= most then return { 'bounded', now, 0 } end
local kept = math.floor(redis.call('XLEN', events) * most / bytes)
return { 'bounded', now, redis.call('XTRIM', events, 'MAXLEN', '~', kept, 'LIMIT', 10000) }
