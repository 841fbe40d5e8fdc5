-- Decide on one call: who it is, whether it may, how often, and for how much. Everything or nothing.
--
-- KEYS: 1 key record   2 account record   3 live counters of the group   4 set of the group's sealed batches
-- ARGV: 1 scope that the call needs, or ''   2 price of the call in micro-credits   3 request id
--       4 limits of a key that has none of its own   5 limits of an account that has none of its own, both as JSON
--       6 deadline, in microseconds of this server's clock   7 epoch: which run of the server this is
--
-- Returns {verdict, profile, retry_after_us, available, limit, limit, …}, a limit being
-- {name, quota, window_seconds, remaining, reset_seconds}. Verdicts:
--   unknown   Redis has no record of the key from this epoch: load it from SQL and ask again
--   cold      Redis has no record of the account from this epoch: reconcile it with SQL and ask again
--   late      the caller has given up on this call by now: nothing was done
--   absent, revoked, expired, disabled, scope, rate, credits   refused; nothing was counted
--   admitted  counted and paid for
--
-- Rate limits are GCRA (ATM Forum TM 4.0, 1996, "virtual scheduling"): a limit of `quota` per window keeps one moment,
-- the theoretical arrival time (tat) of the next call. Each call moves it on by window/quota; a call is refused when
-- that would put it more than a window ahead of the clock. Times are integer microseconds of this server's clock: they
-- stay below 2^53, so Lua's doubles hold them exactly.

local MICROSECONDS = 1000000

local function integer(number)
    return string.format('%.0f', number)
end

local key = redis.call('HMGET', KEYS[1], 'state', 'profile', 'limits', 'scopes', 'expires', 'id', 'epoch')
if not key[1] or key[7] ~= ARGV[7] then
    return {'unknown'}
elseif key[1] ~= 'active' then
    return {key[1]}
end

local account = redis.call('HMGET', KEYS[2], 'state', 'tag', 'available', 'limits', 'epoch')
if not account[3] or account[5] ~= ARGV[7] then
    return {'cold'}
elseif account[1] ~= 'active' then
    return {account[1]}
end

local time = redis.call('TIME')
local now_seconds = tonumber(time[1])
local now = now_seconds * MICROSECONDS + tonumber(time[2])
if now > tonumber(ARGV[6]) then
    return {'late'}
end
if key[5] ~= '' and tonumber(key[5]) <= now_seconds then
    return {'expired'}
end

local verdict = 'admitted'
local price = tonumber(ARGV[2])
local available = tonumber(account[3])
if ARGV[1] ~= '' and not string.find(key[4], ' ' .. ARGV[1] .. ' ', 1, true) then
    verdict = 'scope'
end

-- What every limit says, before anything is changed.
local limits = {}
local retry_after = 0
for level, encoded in ipairs({key[3] or ARGV[4], account[4] or ARGV[5]}) do
    for _, limit in ipairs(cjson.decode(encoded)) do
        local name, quota, window = limit[1], limit[2], limit[3] * MICROSECONDS
        local field = 't:' .. name
        local tat = math.max(tonumber(redis.call('HGET', KEYS[level], field)) or 0, now)
        if tat > now + window then
            -- A tat lies a window ahead at most. This one is from before the clock was set back or the limit changed.
            tat = now
        end
        local next_tat = tat + window / quota
        local wait = math.ceil(next_tat - window - now)
        if wait > 0 and verdict ~= 'scope' then
            verdict = 'rate'
            retry_after = math.max(retry_after, wait)
        end
        limits[#limits + 1] = {record = KEYS[level], field = field, tat = tat, next_tat = next_tat,
            name = name, quota = quota, window = window}
    end
end
if verdict == 'admitted' and price > available then
    verdict = 'credits'
end

if verdict == 'admitted' then
    for _, limit in ipairs(limits) do
        limit.tat = limit.next_tat
        redis.call('HSET', limit.record, limit.field, integer(limit.tat))
    end
    local counted_in = redis.call('HMGET', KEYS[3], 'batch', 'epoch')
    if counted_in[1] and counted_in[2] ~= ARGV[7] then
        -- These counters are as old as the file that the server was started from. SQL may have applied them since, so
        -- they are set aside under their own name, and nothing new is added to them.
        redis.call('RENAME', KEYS[3], KEYS[4] .. ':' .. counted_in[1])
        redis.call('SADD', KEYS[4], counted_in[1])
        counted_in[1] = false
    end
    if not counted_in[1] then
        -- A batch is named by the first call in it, so that the same counters can never be applied under two names.
        redis.call('HSET', KEYS[3], 'batch', ARGV[3], 'epoch', ARGV[7])
    end
    local hour = ':' .. integer(now_seconds - now_seconds % 3600)
    redis.call('HINCRBY', KEYS[3], 'calls:' .. key[6] .. hour, 1)
    redis.call('HSET', KEYS[3], 'used:' .. key[6], integer(now_seconds))
    if price > 0 then
        available = available - price
        redis.call('HINCRBY', KEYS[2], 'available', integer(-price))
        redis.call('HINCRBY', KEYS[3], 'price:' .. key[6] .. hour, integer(price))
        redis.call('HINCRBY', KEYS[3], 'account:' .. account[2], integer(price))
    end
end

local answer = {verdict, key[2], retry_after, integer(available)}
for _, limit in ipairs(limits) do
    local ahead = limit.tat - now
    -- Half a call is added before rounding down: tat is rounded to a microsecond.
    local remaining = math.floor((limit.window - ahead) * limit.quota / limit.window + 0.001)
    answer[#answer + 1] = {limit.name, limit.quota, limit.window / MICROSECONDS,
        math.max(remaining, 0), math.max(math.ceil(ahead / MICROSECONDS), 0)}
end
return answer
