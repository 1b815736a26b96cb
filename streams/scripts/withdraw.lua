-- Takes away entries that came back with a history of before their runs' endings, which the archive has, and records that. A worker that
-- runs one of them finds its outcome refused, as after any lost lease. Entries that are gone, or are another run's, are passed over.
--
-- KEYS: 1 meta  2 tasks  3 again  4 events  5 scheduled  6 scheduled:entries  7 strikes  8 cancelled  9 dead
-- ARGV: 1 token of the repair  2 header  3 most dead entries kept
--       then, 6 each: stream (2 tasks, 3 again, 0 scheduled)  id ("" scheduled)  run  reason and error ("" unless it died)  event
-- Returns: { "withdrawn", now, count, ledger id } or { "lost" (the repair is another's), now }
redis.call('XACK', KEYS[2], 'workers', '0-1') -- a first write that is allowed when memory is full, and lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HGET', KEYS[1], 'repair') ~= ARGV[1] then return { 'lost', now } end
local tag = string.match(KEYS[1], '^{[^}]*}:')

local PARTS = '^[^%z]*%z([^%z]*)%z([^%z]*)%z([^%z]*)%z([^%z]*)%z[^%z]*%z([^%z]*)%z(.*)$' -- run task attempt key meta body

--- The entry as one text; empty when it is gone, or none of ours.
local function take(stream, id, run)
  if stream == 0 then
    local packed = redis.call('HGET', KEYS[6], run)
    redis.call('ZREM', KEYS[5], run)
    redis.call('HDEL', KEYS[6], run)
    return packed or ''
  end
  local found = redis.call('XRANGE', KEYS[stream], id, id)[1]
  local packed = found and found[2][1] == 'e' and found[2][2] or ''
  if string.match(packed, PARTS) ~= run then return '' end
  redis.pcall('XACK', KEYS[stream], 'workers', id) -- no group: nobody holds it
  redis.call('XDEL', KEYS[stream], id)
  redis.call('HDEL', KEYS[7], (stream - 1) .. ' ' .. id)
  return packed
end

local recorded = {}
for i = 4, #ARGV, 6 do
  local run = ARGV[i + 2]
  local owner, task, attempt, key, meta, body = string.match(take(tonumber(ARGV[i]), ARGV[i + 1], run), PARTS)
  if owner then
    redis.call('ZREM', KEYS[8], run)
    if string.sub(key, 1, #tag) == tag and redis.call('GET', key) == run then
      redis.call('PEXPIREAT', key, string.match(meta, '"keyUntil":(%d+)') or '0') -- a time that is past deletes it
    end
    if ARGV[i + 3] ~= '' then
      redis.call('XADD', KEYS[9], 'MAXLEN', '~', ARGV[3], '*', 'run', run, 'task', task, 'attempt', attempt,
        'reason', ARGV[i + 3], 'error', ARGV[i + 4], 'meta', meta, 'body', body)
    end
    recorded[#recorded + 1] = ARGV[i + 5]
  end
end
local id = ''
if #recorded > 0 then id = redis.call('XADD', KEYS[4], '*', 'h', ARGV[2], 'n', #recorded, 'events', '[' .. table.concat(recorded, ',') .. ']') end
return { 'withdrawn', now, #recorded, id }
