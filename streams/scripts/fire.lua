-- Moves schedules on to their next slots, each by compare-and-set on its last one, and records it: with a run (fired), or without (skipped, missed).
-- That a slot fires once rests on this script and not on a lock: of any number of schedulers, one finds the last slot as it expects it.
-- Nor does a schedule fire that was changed, paused or removed since the caller read it, or before its time on this server's clock.
-- What is refused for one schedule changes nothing for the others, and none of its events is recorded.
--
-- KEYS: 1 cron  2 tasks  3 events  4 scheduled  5 scheduled:entries  6.. turns, one for each slot
-- ARGV: 1 header, then eleven for each slot: schedule  last slot as the caller knows it ("" none)  slot (ms)
--       definition as the caller knows it ("" not compared)  pattern of the slots up to now, when some of them were missed: the unbroken stretch ends ("" none was)
--       event count  events, between commas  for a run: entry ("" none)  run  when it is due by itself though it has to wait for its turn (ms, 0: it is to run now)  "turn": others wait for it
-- Returns: { "ok", now, ledger id or "", for each slot { "fired" } or { "taken", last slot, last slot with a run or "", runs } or { "changed" | "early" } }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local cron = KEYS[1]

local function move(at, turns)
  local schedule, slot, ended, entry, run, due = ARGV[at], ARGV[at + 2], ARGV[at + 4], ARGV[at + 7], ARGV[at + 8], ARGV[at + 9]
  local known = redis.call('HMGET', cron, 'last:' .. schedule, 'fired:' .. schedule, 'count:' .. schedule, 'definition:' .. schedule, 'since:' .. schedule, 'past:' .. schedule)
  if (known[1] or '') ~= ARGV[at + 1] then return { 'taken', known[1] or '', known[2] or '', known[3] or '0' } end
  if ARGV[at + 3] ~= '' and known[4] ~= ARGV[at + 3] then return { 'changed' } end
  if tonumber(slot) > now then return { 'early' } end

  local since = known[5]
  if entry ~= '' and due ~= '0' then
    redis.call('ZADD', KEYS[4], due, run)
    redis.call('HSET', KEYS[5], run, entry)
  elseif entry ~= '' then
    redis.call('XADD', KEYS[2], '*', 'e', entry)
  end
  if ARGV[at + 10] == 'turn' then
    redis.call('ZADD', turns, slot, run)
    redis.call('PEXPIRE', turns, 604800000)
  end
  if ended ~= '' and since and known[2] then
    local past = (known[6] or '') .. since .. ' ' .. known[2] .. ' ' .. ended .. '\n'
    if #past > 32768 then past = '+' .. string.sub(past, (string.find(past, '\n', #past - 24576, true)) + 1) end -- the oldest are forgotten
    redis.call('HSET', cron, 'past:' .. schedule, past)
    redis.call('HDEL', cron, 'since:' .. schedule)
    since = nil
  end
  redis.call('HSET', cron, 'last:' .. schedule, slot)
  if entry ~= '' then
    redis.call('HSET', cron, 'fired:' .. schedule, slot, 'since:' .. schedule, since or slot)
    redis.call('HINCRBY', cron, 'count:' .. schedule, 1)
  end
  return { 'fired' }
end

local answer, count, events = { 'ok', now, '' }, 0, {}
for i = 6, #KEYS do
  local at = 2 + (i - 6) * 11
  local moved = move(at, KEYS[i])
  answer[#answer + 1] = moved
  if moved[1] == 'fired' and ARGV[at + 5] ~= '0' then
    count = count + tonumber(ARGV[at + 5])
    events[#events + 1] = ARGV[at + 6]
  end
end
if count > 0 then answer[3] = redis.call('XADD', KEYS[3], '*', 'h', ARGV[1], 'n', count, 'events', '[' .. table.concat(events, ',') .. ']') end
return answer
