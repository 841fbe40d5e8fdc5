-- Make an account's record in Redis what SQL says it must be. Run while SQL's balance row is locked.
--
-- KEYS: 1 account record   2 account's holds   3 live counters of the group   4 set of the group's sealed batches
--       5 group's hold deadlines
-- ARGV: 1 account's tag   2 state   3 balance in SQL   4 credited: all ever granted less all expired
--       5 seconds until a hold that is given back is looked at   6 how many batches SQL has applied   7 how many holds
--       SQL has charged   8… the ids of those batches, of those holds, and then of the holds of open jobs, each of these
--       followed by its micro-credits
--       last: the epoch that the caller saw these in; should it be over, what is written here counts for nothing
--
-- available = balance in SQL − charges that SQL does not have yet − open holds. The sums are taken here, so that calls
-- and holds may go on while the caller reads SQL. Returns the micro-credits available.
local available = tonumber(ARGV[3])
local first_hold = 8 + tonumber(ARGV[6])
local first_kept = first_hold + tonumber(ARGV[7])
local field = 'account:' .. ARGV[1]

local applied = {}
for index = 8, first_hold - 1 do
    applied[ARGV[index]] = true
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

for index = first_hold, first_kept - 1 do
    redis.call('HDEL', KEYS[2], ARGV[index])
    redis.call('ZREM', KEYS[5], ARGV[1] .. ':' .. ARGV[index])
end
local overdue_at = tonumber(redis.call('TIME')[1]) + tonumber(ARGV[5])
for index = first_kept, #ARGV - 1, 2 do
    redis.call('HSETNX', KEYS[2], ARGV[index], ARGV[index + 1])
    redis.call('ZADD', KEYS[5], 'NX', overdue_at, ARGV[1] .. ':' .. ARGV[index])
end
for _, held in ipairs(redis.call('HVALS', KEYS[2])) do
    available = available - tonumber(held)
end

local text = string.format('%.0f', available)
redis.call('HSET', KEYS[1], 'tag', ARGV[1], 'state', ARGV[2], 'available', text, 'credited', ARGV[4],
    'epoch', ARGV[#ARGV])
return text
