-- Set micro-credits aside for one job, if they are there.
--
-- KEYS: 1 account record   2 account's holds   3 group's hold deadlines
-- ARGV: 1 hold id   2 micro-credits   3 seconds until the hold is looked at   4 account's tag
--       5 how many holds the account may have open   6 epoch
--
-- Returns {verdict, available}: held, credits (not enough), concurrency (too many), or cold (reconcile the account with
-- SQL and ask again).
-- The same hold id a second time changes nothing.
local account = redis.call('HMGET', KEYS[1], 'available', 'epoch')
local available = account[1]
if not available or account[2] ~= ARGV[6] then
    return {'cold', '0'}
end
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then
    return {'held', available}
end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[5]) then
    return {'concurrency', available}
end
if tonumber(ARGV[2]) > tonumber(available) then
    return {'credits', available}
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[3], tonumber(redis.call('TIME')[1]) + tonumber(ARGV[3]), ARGV[4] .. ':' .. ARGV[1])
return {'held', tostring(redis.call('HINCRBY', KEYS[1], 'available', '-' .. ARGV[2]))}
