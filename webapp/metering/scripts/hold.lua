-- Set micro-credits aside for one job, if they are there.
--
-- KEYS: 1 account record   2 account's holds   3 group's hold deadlines
-- ARGV: 1 hold id   2 micro-credits   3 seconds until the hold is looked at   4 account's tag
--       5 how many holds the account may have open   6 deadline, in microseconds of this server's clock   7 epoch
--
-- Returns {verdict, available}: held, credits (not enough), concurrency (too many), late (the caller has given up by now),
-- or cold (reconcile the account with SQL and ask again).
-- The same hold id a second time changes nothing.
local time = redis.call('TIME')
if tonumber(time[1]) * 1000000 + tonumber(time[2]) > tonumber(ARGV[6]) then
    return {'late', '0'}
end
local account = redis.call('HMGET', KEYS[1], 'available', 'epoch')
local available = account[1]
if not available or account[2] ~= ARGV[7] then
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
redis.call('ZADD', KEYS[3], tonumber(time[1]) + tonumber(ARGV[3]), ARGV[4] .. ':' .. ARGV[1])
return {'held', tostring(redis.call('HINCRBY', KEYS[1], 'available', '-' .. ARGV[2]))}
