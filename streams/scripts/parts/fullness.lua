-- What gives when a ledger is archived more slowly than it grows, as its projector was told: past `maxTail` bytes the lane takes no more dispatches
-- until a tenth of that is free again, or the oldest entries go and the gap is recorded. Gives how many went.
local function relieve(events, meta, now, header)
  local known = redis.call('HMGET', meta, 'maxTail', 'whenFull', 'full', 'archived')
  local most = tonumber(known[1] or '0')
  local bytes = most > 0 and redis.call('MEMORY', 'USAGE', events) or 0
  if known[3] and (known[2] ~= 'refuse' or bytes <= most * 0.9) then redis.call('HDEL', meta, 'full') end
  if bytes <= most then return 0 end
  if known[2] == 'refuse' then
    redis.call('HSETNX', meta, 'full', now)
    return 0
  end
  local gone = redis.call('XTRIM', events, 'MAXLEN', '~', math.floor(redis.call('XLEN', events) * most / bytes), 'LIMIT', 10000)
  local first = redis.call('XRANGE', events, '-', '+', 'COUNT', 1)[1]
  local ms, seq = string.match(first and first[1] or '0-0', '^(%d+)-(%d+)$')
  local archivedMs, archivedSeq = string.match(known[4] or '0-0', '^(%d+)-(%d+)$')
  local isArchived = tonumber(ms) < tonumber(archivedMs) or (ms == archivedMs and tonumber(seq) <= tonumber(archivedSeq))
  if gone == 0 or isArchived then return gone end
  redis.call('HSET', meta, 'gap', first[1])
  redis.call('XADD', events, '*', 'h', header, 'n', 1, 'events',
    '[{"type":"ledger.gap","before":' .. cjson.encode(first[1]) .. ',"entryCount":' .. gone .. ',"at":' .. string.format('%.0f', now) .. '}]')
  return gone
end
