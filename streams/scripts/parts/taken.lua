-- What the event of a takeover tells of an entry. One that carries no run id has the one that a worker gives it, too: UUIDv5 of where it lies
-- (`derivedId` in ids.ts), so that its whole history stands under one run.
local function told(key, stream, id, fields)
  local run, task, attempt, _, meta = string.match(#fields == 2 and fields[1] == 'e' and fields[2] or '', '^[^%z]*%z([^%z]*)%z([^%z]*)%z([^%z]*)%z([^%z]*)%z[^%z]*%z([^%z]*)%z')
  local x, y = '[0-9a-f]', '[0-9a-f][0-9a-f][0-9a-f]'
  if not string.find(run or '', '^' .. y .. y .. x .. x .. '%-' .. y .. x .. '%-[57]' .. y .. '%-[89ab]' .. y .. '%-' .. y .. y .. y .. y .. '$') then
    local namespace = string.gsub('5f1d36a1a2f84c0f9d55a4e5b2c0d7e1', '%x%x', function(byte) return string.char(tonumber(byte, 16)) end)
    local digest = redis.sha1hex(namespace .. string.match(key, '^{[^}]*}') .. '\n' .. stream .. '\n' .. id)
    local variant = string.sub('89ab', tonumber(string.sub(digest, 17, 17), 16) % 4 + 1)
    run = string.sub(digest, 1, 8) .. '-' .. string.sub(digest, 9, 12) .. '-5' .. string.sub(digest, 14, 16)
      .. '-' .. string.sub(variant, 1, 1) .. string.sub(digest, 18, 20) .. '-' .. string.sub(digest, 21, 32)
  end
  local trace = string.match(meta or '', '"traceparent":"([%x%-]+)"')
  return '"run":"' .. run .. '","task":' .. cjson.encode(task and task ~= '' and task or '(none)')
    .. ',"attempt":' .. (string.match(attempt or '', '^[1-9]%d?%d?%d?%d?$') or '0') .. (trace and ',"traceparent":"' .. trace .. '"' or '')
end
