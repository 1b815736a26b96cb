-- Trims what is archived of a lane's ledger, by age and by size. Strictly below the entry up to which it is archived, and only
-- while that entry is there, with its batch token: what another history has below its id is not archived.
--
-- KEYS: 1 events  2 meta  3 tasks
-- ARGV: 1 incarnation  2 id of that entry  3 its batch token  4 keep what is younger than this (ms)  5 keep about so many bytes (0 any)
--       6 most bytes of the whole tail, about (0 any)  7 what gives then: "refuse" | "gap"  8 header for the record of a gap
-- Returns: { "trimmed" | "changed", now, how many entries went }
--@include parts/fullness
local events = KEYS[1]
redis.call('XACK', KEYS[3], 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HGET', KEYS[2], 'incarnation') ~= ARGV[1] then return { 'changed', now, 0 } end
redis.call('HSET', KEYS[2], 'maxTail', ARGV[6], 'whenFull', ARGV[7])
if ARGV[2] == '0-0' then
  redis.call('HSET', KEYS[2], 'archived', ARGV[2])
  relieve(events, KEYS[2], now, ARGV[8])
  return { 'trimmed', now, 0 }
end

local own = redis.call('XRANGE', events, ARGV[2], ARGV[2])[1]
local fields, header = own and own[2] or {}, ''
for i = 1, #fields, 2 do if fields[i] == 'h' then header = fields[i + 1] end end
local isRead, batch = pcall(cjson.decode, header)
local token = isRead and type(batch) == 'table' and tostring(batch.p) .. '/' .. string.format('%.0f', tonumber(batch.c) or 0) or 'malformed'
if not own or token ~= ARGV[3] then return { 'changed', now, 0 } end
redis.call('HSET', KEYS[2], 'archived', ARGV[2])

-- Whole nodes go and no others: what lies in a node with something younger stays.
local MOST = 10000
local below = math.floor(now - tonumber(ARGV[4]))
local archived = tonumber(string.match(ARGV[2], '^%d+'))
local gone = redis.call('XTRIM', events, 'MINID', '~', below < archived and (math.max(0, below) .. '-0') or ARGV[2], 'LIMIT', MOST)
local most = tonumber(ARGV[5])
local bytes = most > 0 and gone < MOST and redis.call('MEMORY', 'USAGE', events) or 0
if bytes > most then
  local over = math.ceil(redis.call('XLEN', events) * (bytes - most) / bytes)
  gone = gone + redis.call('XTRIM', events, 'MINID', '~', ARGV[2], 'LIMIT', math.max(100, math.min(over, MOST)))
end
if gone < MOST then relieve(events, KEYS[2], now, ARGV[8]) end
return { 'trimmed', now, gone }
