-- What scripts that spend share: how much of its budgets a spender has used. Put before them by Python.
--
-- The account's record keeps, for spenders (a key by its id, the account itself as ''):
--   b:<spender>   the budgets that bound it, its own and those of the keys that it was made by, as JSON:
--                 [[period, micro-credits, 1 where it refuses or 0 where it only warns, whose budget it is], …]
--   s:<spender>   what counts against its own: day:month:in the day:in the month:in all, the first two being the period's
--                 number. A key's has what the keys that it made used as well, and the account's what everybody did.
-- A day is counted from 1970-01-01 in UTC, and a month from the year 0, by this server's clock.

-- From days to the month, after H. Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
local function month_of(day)
    local shifted = day + 719468
    local era = math.floor(shifted / 146097)
    local day_of_era = shifted - era * 146097
    local year_of_era = math.floor((day_of_era - math.floor(day_of_era / 1460) + math.floor(day_of_era / 36524)
        - math.floor(day_of_era / 146096)) / 365)
    local day_of_year = day_of_era - (365 * year_of_era + math.floor(year_of_era / 4) - math.floor(year_of_era / 100))
    -- Counted from March, so that February with its leap day is the last.
    local months_since_march = math.floor((5 * day_of_year + 2) / 153)
    return (era * 400 + year_of_era) * 12 + months_since_march + 2
end

-- Read what a spender has used, at this moment: the period that is over counts no more.
local function read_used(text, now_seconds)
    local day = math.floor(now_seconds / 86400)
    local used = {day = 0, month = 0, total = 0, day_number = day, month_number = month_of(day)}
    local in_day, in_month, day_used, month_used, total = string.match(text or '', '(%d+):(%d+):(%d+):(%d+):(%d+)')
    if total then
        used.total = tonumber(total)
        used.day = tonumber(in_day) == day and tonumber(day_used) or 0
        used.month = tonumber(in_month) == used.month_number and tonumber(month_used) or 0
    end
    return used
end

local function write_used(used)
    return string.format('%.0f:%.0f:%.0f:%.0f:%.0f', used.day_number, used.month_number, used.day, used.month, used.total)
end

local function add_used(used, amount)
    used.day = used.day + amount
    used.month = used.month + amount
    used.total = used.total + amount
end

-- Read the budgets that bound a key and its account, given both as the record has them (false where there are none).
-- A budget is then {level, period, limit, used, refuses, whose it is}; spenders are those whose budgets they are.
local function read_budgets(record, of_key, of_account, now_seconds)
    local spenders, budgets, used_by = {}, {}, {}
    if not of_key and not of_account then
        return budgets, spenders
    end
    for level, encoded in ipairs({of_key or '[]', of_account or '[]'}) do
        for _, budget in ipairs(cjson.decode(encoded)) do
            local spender = budget[4]
            if not used_by[spender] then
                used_by[spender] = read_used(redis.call('HGET', record, 's:' .. spender), now_seconds)
                spenders[#spenders + 1] = {field = 's:' .. spender, used = used_by[spender]}
            end
            budgets[#budgets + 1] = {level == 1 and 'key' or 'account', budget[1], budget[2],
                used_by[spender][budget[1]], budget[3], spender}
        end
    end
    return budgets, spenders
end

local function is_over(budgets, amount)
    for _, budget in ipairs(budgets) do
        if budget[5] == 1 and budget[4] + amount > budget[3] then
            return true
        end
    end
    return false
end

local function spend(record, budgets, spenders, amount)
    for _, budget in ipairs(budgets) do
        budget[4] = budget[4] + amount
    end
    for _, spender in ipairs(spenders) do
        add_used(spender.used, amount)
        redis.call('HSET', record, spender.field, write_used(spender.used))
    end
end

-- A hold's value is micro-credits:key id:day. What no key spends (credits that expire, say) has no more than the first.
local function read_hold(value)
    local held, key_id, day = string.match(value, '^(%d+):([^:]*):(%d+)$')
    return tonumber(held or value), key_id, tonumber(day)
end

-- Change what is used of the budgets that a hold counts against: by so much in the periods that it was taken in, and by
-- so much in those of this moment.
local function change_used(record, value, of_hold, of_now, now_seconds)
    local _, key_id, held_day = read_hold(value)
    if not key_id then
        return
    end
    local bounds = redis.call('HMGET', record, 'b:' .. key_id, 'b:')
    local _, spenders = read_budgets(record, bounds[1], bounds[2], now_seconds)
    for _, spender in ipairs(spenders) do
        local used = spender.used
        used.day = used.day + of_now + (held_day == used.day_number and of_hold or 0)
        used.month = used.month + of_now + (month_of(held_day) == used.month_number and of_hold or 0)
        used.total = used.total + of_now + of_hold
        redis.call('HSET', record, spender.field, write_used(used))
    end
end

-- Count a hold that is open.
local function count_hold(record, value, now_seconds)
    change_used(record, value, read_hold(value), 0, now_seconds)
end

-- Correct what a hold was taken for to what was charged for it, in the periods that it was counted in or falls in now.
local function settle_used(record, value, charged, now_seconds)
    change_used(record, value, -read_hold(value), charged, now_seconds)
end
