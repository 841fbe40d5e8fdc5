-- Set micro-credits aside for one job, if they are there.
--
-- KEYS: 1 account record   2 account's holds   3 group's hold deadlines
-- ARGV: 1 hold id   2 micro-credits   3 seconds until the hold is looked at   4 account's tag
--       5 how many holds the account may have open   6 who spends: a key's id, or the account's in the console, or ''
--       where nobody does and no budget counts it   7 '1' where the price was confirmed   8 deadline, in microseconds of
--       this server's clock   9 epoch
--
-- Returns {verdict, number, budgets}: held, budget (one is used up), credits (not enough), concurrency (too many), confirm
-- (the account wants to be asked about so high a price), late (the caller has given up by now), or cold (reconcile the
-- account with SQL and ask again). The number is what is available; of confirm, the price above which to ask.
-- The same hold id a second time changes nothing.
local time = redis.call('TIME')
local now_seconds = tonumber(time[1])
if now_seconds * 1000000 + tonumber(time[2]) > tonumber(ARGV[8]) then
    return {'late', '0', {}}
end
local account = redis.call('HMGET', KEYS[1], 'available', 'epoch', 'b:' .. ARGV[6], 'b:', 'confirm_above')
local available = account[1]
if not available or account[2] ~= ARGV[9] then
    return {'cold', '0', {}}
end
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then
    return {'held', available, {}}
end
local value, price = ARGV[2], tonumber(ARGV[2])
local budgets, spenders = {}, {}
-- What expires or is taken back is no job: nobody spends it, and it waits for nothing.
local is_job = ARGV[6] ~= ''
if is_job then
    value = string.format('%s:%s:%.0f', ARGV[2], ARGV[6], math.floor(now_seconds / 86400))
    budgets, spenders = read_budgets(KEYS[1], account[3], account[4], now_seconds)
end
if is_over(budgets, price) then
    return {'budget', available, budgets}
end
if price > tonumber(available) then
    return {'credits', available, {}}
end
if is_job and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[5]) then
    return {'concurrency', available, {}}
end
-- Last: a price is not put to an account that could not pay it.
if is_job and ARGV[7] == '' and price > (tonumber(account[5]) or math.huge) then
    return {'confirm', account[5], {}}
end
spend(KEYS[1], budgets, spenders, price)
redis.call('HSET', KEYS[2], ARGV[1], value)
redis.call('ZADD', KEYS[3], now_seconds + tonumber(ARGV[3]), ARGV[4] .. ':' .. ARGV[1])
return {'held', tostring(redis.call('HINCRBY', KEYS[1], 'available', string.format('%.0f', 0 - price))), {}}
