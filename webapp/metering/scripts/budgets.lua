-- What scripts that spend share: how much of its budgets a spender has used. Put before them by Python.
--
-- The account's record keeps, for each spender that has budgets (a key by its id, the account itself as ''):
--   b:<spender>   its budgets, as JSON: [[period, micro-credits, 1 where it refuses or 0 where it only warns], …]
--   s:<spender>   what it has used: day:month:in the day:in the month:in all, the first two being the period's number
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

-- Read what a key's and its account's budgets say, given both as the record has them (false where there are none).
-- A budget is then {level, period, limit, used, refuses}.
local function read_budgets(record, key_id, of_key, of_account, now_seconds)
    local spenders, budgets = {}, {}
    if not of_key and not of_account then
        return budgets, spenders
    end
    local found = redis.call('HMGET', record, 's:' .. key_id, 's:')
    for level, spender in ipairs({key_id, ''}) do
        local encoded = level == 1 and of_key or level == 2 and of_account
        if encoded then
            local used = read_used(found[level], now_seconds)
            spenders[#spenders + 1] = {field = 's:' .. spender, used = used}
            for _, budget in ipairs(cjson.decode(encoded)) do
                budgets[#budgets + 1] = {level == 1 and 'key' or 'account', budget[1], budget[2], used[budget[1]], budget[3]}
            end
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

-- Correct what a hold was taken for to what was charged for it, in the periods that it was counted in or falls in now.
local function settle_used(record, value, charged, now_seconds)
    local held, key_id, held_day = read_hold(value)
    if not key_id then
        return
    end
    for _, spender in ipairs({key_id, ''}) do
        local text = redis.call('HGET', record, 's:' .. spender)
        if text then
            local used = read_used(text, now_seconds)
            used.day = used.day + charged - (held_day == used.day_number and held or 0)
            used.month = used.month + charged - (month_of(held_day) == used.month_number and held or 0)
            used.total = used.total + charged - held
            redis.call('HSET', record, 's:' .. spender, write_used(used))
        end
    end
end
