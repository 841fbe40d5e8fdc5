-- Set micro-credits aside for one job, if they are there.
--
-- KEYS: 1 account record   2 account's holds   3 group's hold deadlines
-- ARGV: 1 hold id   2 micro-credits   3 seconds until the hold is looked at   4 account's tag
--       5 how many holds the account may have open   6 who spends: a key's id, or the account's in the console, or ''
--       where nobody does and no budget counts it   7 deadline, in microseconds of this server's clock   8 epoch
--
-- Returns {verdict, available, budgets}: held, budget (one is used up), credits (not enough), concurrency (too many), late
-- (the caller has given up by now), or cold (reconcile the account with SQL and ask again).
-- The same hold id a second time changes nothing.
local time = redis.call('TIME')
local now_seconds = tonumber(time[1])
if now_seconds * 1000000 + tonumber(time[2]) > tonumber(ARGV[7]) then
    return {'late', '0', {}}
end
local account = redis.call('HMGET', KEYS[1], 'available', 'epoch', 'b:' .. ARGV[6], 'b:')
local available = account[1]
if not available or account[2] ~= ARGV[8] then
    return {'cold', '0', {}}
end
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then
    return {'held', available, {}}
end
-- What expires or is taken back is no job, and is not kept waiting by jobs.
if ARGV[6] ~= '' and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[5]) then
    return {'concurrency', available, {}}
end
local value = ARGV[2]
local budgets, spenders = {}, {}
if ARGV[6] ~= '' then
    value = string.format('%s:%s:%.0f', ARGV[2], ARGV[6], math.floor(now_seconds / 86400))
    budgets, spenders = read_budgets(KEYS[1], account[3], account[4], now_seconds)
end
if is_over(budgets, tonumber(ARGV[2])) then
    return {'budget', available, budgets}
end
if tonumber(ARGV[2]) > tonumber(available) then
    return {'credits', available, {}}
end
spend(KEYS[1], budgets, spenders, tonumber(ARGV[2]))
redis.call('HSET', KEYS[2], ARGV[1], value)
redis.call('ZADD', KEYS[3], now_seconds + tonumber(ARGV[3]), ARGV[4] .. ':' .. ARGV[1])
return {'held', tostring(redis.call('HINCRBY', KEYS[1], 'available', string.format('%.0f', 0 - tonumber(ARGV[2])))), {}}
