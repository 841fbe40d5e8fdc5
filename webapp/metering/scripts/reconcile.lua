-- Make an account's record in Redis what SQL says it must be. Run while SQL's balance row is locked.
--
-- KEYS: 1 account record   2 account's holds   3 live counters of the group   4 set of the group's sealed batches
--       5 group's hold deadlines
-- ARGV: 1 account's tag   2 what SQL says, as JSON (below)   3 the epoch that the caller saw this in; should it be over, what
--       is written here counts for nothing
--
--   state, balance, credited, confirm_above   as SQL has them: credited is all that ever came to the account, and
--             confirm_above the price above which it wants to be asked, or ''
--   applied   ids of batches that SQL has applied
--   charged   by the id of a hold that is still here, the micro-credits that SQL charged for it
--   kept      by the id of an open job's hold, its value: it is given back where it is missing
--   kept_seconds   until such a hold is looked at
--   budgets   by spender, the budgets that bound it as budgets.lua has them
--   used      by spender that has budgets of its own, what counts against them according to SQL and to counters on their
--             way there, without open holds; absent where the caller saw that the record counts for something
--
-- available = balance in SQL − charges that SQL does not have yet − open holds. The sums are taken here, so that calls
-- and holds may go on while the caller reads SQL. What was used of budgets is kept live, and taken from the caller only
-- where the record counts for nothing, which no call or hold then changes meanwhile. A record that was lost since the caller
-- looked goes on counting for nothing: the next call reconciles it. Returns the micro-credits available.
local said = cjson.decode(ARGV[2])
local available = tonumber(said.balance)
local field = 'account:' .. ARGV[1]
local now_seconds = tonumber(redis.call('TIME')[1])
local is_cold = redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[3]
local is_lost = is_cold and not said.used

local applied = {}
for _, batch in ipairs(said.applied) do
    applied[batch] = true
end
local live = redis.call('HMGET', KEYS[3], 'batch', field)
if live[1] and not applied[live[1]] then
    available = available - tonumber(live[2] or 0)
end
for _, batch in ipairs(redis.call('SMEMBERS', KEYS[4])) do
    if not applied[batch] then
        available = available - tonumber(redis.call('HGET', KEYS[4] .. ':' .. batch, field) or 0)
    end
end

for hold_id, charged in pairs(said.charged) do
    local value = redis.call('HGET', KEYS[2], hold_id)
    if value and not is_cold then
        settle_used(KEYS[1], value, charged, now_seconds)
    end
    redis.call('HDEL', KEYS[2], hold_id)
    redis.call('ZREM', KEYS[5], ARGV[1] .. ':' .. hold_id)
end
for hold_id, value in pairs(said.kept) do
    redis.call('HSETNX', KEYS[2], hold_id, value)
    redis.call('ZADD', KEYS[5], 'NX', now_seconds + said.kept_seconds, ARGV[1] .. ':' .. hold_id)
end
local open = redis.call('HVALS', KEYS[2])
for _, value in ipairs(open) do
    available = available - read_hold(value)
end

if is_cold and not is_lost then
    local record = redis.call('HGETALL', KEYS[1])
    for index = 1, #record, 2 do
        local is_idle = string.find(record[index], '^t:') and tonumber(record[index + 1]) <= now_seconds * 1000000
        if is_idle or string.find(record[index], '^[bs]:') then
            redis.call('HDEL', KEYS[1], record[index])
        end
    end
    for spender, budgets in pairs(said.budgets) do
        redis.call('HSET', KEYS[1], 'b:' .. spender, budgets)
    end
    for spender, used in pairs(said.used) do
        redis.call('HSET', KEYS[1], 's:' .. spender, used)
    end
    for _, value in ipairs(open) do
        count_hold(KEYS[1], value, now_seconds)
    end
end

local text = string.format('%.0f', available)
redis.call('HSET', KEYS[1], 'tag', ARGV[1], 'state', said.state, 'available', text, 'credited', said.credited,
    'confirm_above', said.confirm_above, 'epoch', is_lost and '' or ARGV[3])
return text
