-- Decide on one call: who it is, whether it may, how often, and for how much. Everything or nothing.
--
-- KEYS: 1 record of the key's token   2 account record   3 live counters of the group   4 set of the group's sealed batches
-- ARGV: 1 scope that the call needs, or ''   2 price of the call in micro-credits   3 request id
--       4 limits of every key, beside its own   5 limits of an account that has none of its own, both as JSON
--       6 where the call comes from, as `n` and 128 bits   7 the same as people write it   8 operation that is called
--       9 deadline, in microseconds of this server's clock   10 epoch: which run of the server this is
--
-- Returns {verdict, profile, retry_after_us, available, budgets, limit, limit, …}, a limit being
-- {name, quota, window_seconds, remaining, reset_seconds} and a budget as budgets.lua has it. Verdicts:
--   unknown   Redis has no record of the token from this epoch: load it from SQL and ask again
--   cold      Redis has no record of the account from this epoch: reconcile it with SQL and ask again
--   late      the caller has given up on this call by now: nothing was done
--   absent, revoked, off, expired, disabled, address, scope, rate, budget, credits   refused; nothing was counted
--   admitted  counted and paid for
--
-- Rate limits are GCRA (ATM Forum TM 4.0, 1996, "virtual scheduling"): a limit of `quota` per window keeps one moment,
-- the theoretical arrival time (tat) of the next call. Each call moves it on by window/quota; a call is refused when
-- that would put it more than a window ahead of the clock. Times are integer microseconds of this server's clock: they
-- stay below 2^53, so Lua's doubles hold them exactly.
--
-- A token's record says what is fixed. All that moves is in the account's record, under the key's id, so that two tokens
-- of one key share its clocks and its budgets.

local MICROSECONDS = 1000000

-- Networks are written as the bits that their addresses begin with, so that one holds what begins with it.
local function is_within(networks, address)
    for network in string.gmatch(networks, '%S+') do
        if string.sub(address, 1, #network) == network then
            return true
        end
    end
    return false
end

local function integer(number)
    return string.format('%.0f', number)
end

local key = redis.call('HMGET', KEYS[1], 'state', 'profile', 'limits', 'scopes', 'expires', 'id', 'epoch', 'networks', 'mode')
if not key[1] or key[7] ~= ARGV[10] then
    return {'unknown'}
elseif key[1] ~= 'active' then
    return {key[1]}
end
local key_id = key[6]

local account = redis.call('HMGET', KEYS[2], 'state', 'tag', 'available', 'limits', 'epoch', 'b:' .. key_id, 'b:')
if not account[3] or account[5] ~= ARGV[10] then
    return {'cold'}
elseif account[1] ~= 'active' then
    return {account[1]}
end

local time = redis.call('TIME')
local now_seconds = tonumber(time[1])
local now = now_seconds * MICROSECONDS + tonumber(time[2])
if now > tonumber(ARGV[9]) then
    return {'late'}
end
if key[5] ~= '' and tonumber(key[5]) <= now_seconds then
    return {'expired'}
end

if key[8] and not is_within(key[8], ARGV[6]) then
    return {'address'}
end

local verdict = 'admitted'
-- A test key's calls cost nothing, as its jobs do.
local price = key[9] == 'test' and 0 or tonumber(ARGV[2])
local available = tonumber(account[3])
if ARGV[1] ~= '' and not string.find(key[4], ' ' .. ARGV[1] .. ' ', 1, true) then
    verdict = 'scope'
end

-- What every limit and budget says, before anything is changed.
local limits, fields = {}, {}
local levels = {ARGV[4], account[4] or ARGV[5]}
if key[3] then
    levels[3] = key[3]
end
for level, encoded in ipairs(levels) do
    local clock = level == 2 and 't:' or 't:' .. key_id .. ':'
    for _, limit in ipairs(cjson.decode(encoded)) do
        -- The limits of a key that made this one come with the names of that key's clocks.
        fields[#fields + 1] = limit[4] and 't:' .. limit[4] or clock .. limit[1]
        limits[#limits + 1] = {name = limit[1], quota = limit[2], window = limit[3] * MICROSECONDS}
    end
end
local retry_after = 0
local clocks = redis.call('HMGET', KEYS[2], unpack(fields))
for index, limit in ipairs(limits) do
    limit.tat = math.max(tonumber(clocks[index]) or 0, now)
    if limit.tat > now + limit.window then
        -- A tat lies a window ahead at most. This one is from before the clock was set back or the limit changed.
        limit.tat = now
    end
    limit.next_tat = limit.tat + limit.window / limit.quota
    local wait = math.ceil(limit.next_tat - limit.window - now)
    if wait > 0 and verdict ~= 'scope' then
        verdict = 'rate'
        retry_after = math.max(retry_after, wait)
    end
end
local budgets, spenders = read_budgets(KEYS[2], account[6], account[7], now_seconds)
if verdict == 'admitted' and price > 0 and is_over(budgets, price) then
    verdict = 'budget'
elseif verdict == 'admitted' and price > available then
    verdict = 'credits'
end

if verdict == 'admitted' then
    local moved = {}
    for index, limit in ipairs(limits) do
        limit.tat = limit.next_tat
        moved[2 * index - 1] = fields[index]
        moved[2 * index] = integer(limit.tat)
    end
    redis.call('HSET', KEYS[2], unpack(moved))
    local counted_in = redis.call('HMGET', KEYS[3], 'batch', 'epoch')
    if counted_in[1] and counted_in[2] ~= ARGV[10] then
        -- These counters are as old as the file that the server was started from. SQL may have applied them since, so
        -- they are set aside under their own name, and nothing new is added to them.
        redis.call('RENAME', KEYS[3], KEYS[4] .. ':' .. counted_in[1])
        redis.call('SADD', KEYS[4], counted_in[1])
        counted_in[1] = false
    end
    if not counted_in[1] then
        -- A batch is named by the first call in it, so that the same counters can never be applied under two names.
        redis.call('HSET', KEYS[3], 'batch', ARGV[3], 'epoch', ARGV[10])
    end
    local usage = key_id .. ':' .. integer(now_seconds - now_seconds % 3600) .. ':' .. ARGV[8]
    redis.call('HINCRBY', KEYS[3], 'calls:' .. usage, 1)
    redis.call('HSET', KEYS[3], 'used:' .. key_id, integer(now_seconds) .. ' ' .. ARGV[7] .. ' ' .. ARGV[8])
    if price > 0 then
        available = available - price
        redis.call('HINCRBY', KEYS[2], 'available', integer(-price))
        redis.call('HINCRBY', KEYS[3], 'price:' .. usage, integer(price))
        redis.call('HINCRBY', KEYS[3], 'account:' .. account[2], integer(price))
        spend(KEYS[2], budgets, spenders, price)
    end
end

local answer = {verdict, key[2], retry_after, integer(available), budgets}
for _, limit in ipairs(limits) do
    local ahead = limit.tat - now
    -- Half a call is added before rounding down: tat is rounded to a microsecond.
    local remaining = math.floor((limit.window - ahead) * limit.quota / limit.window + 0.001)
    answer[#answer + 1] = {limit.name, limit.quota, limit.window / MICROSECONDS,
        math.max(remaining, 0), math.max(math.ceil(ahead / MICROSECONDS), 0)}
end
return answer
