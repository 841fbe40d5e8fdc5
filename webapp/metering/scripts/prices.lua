-- Read what the group's calls were charged, by key, hour and operation, as far as SQL may not have it yet.
--
-- KEYS: 1 live counters   2 set of sealed batches
--
-- Returns {batch id, key id, unix time of the hour, micro-credits, …}. Sealed batches are named as in seal.lua.
local found = {}
local function read(name, batch)
    local counters = redis.call('HGETALL', name)
    for index = 1, #counters, 2 do
        local key_id, hour = string.match(counters[index], '^price:([^:]+):(%d+)')
        if key_id then
            for _, value in ipairs({batch, key_id, hour, counters[index + 1]}) do
                found[#found + 1] = value
            end
        end
    end
end
for _, batch in ipairs(redis.call('SMEMBERS', KEYS[2])) do
    read(KEYS[2] .. ':' .. batch, batch)
end
local batch = redis.call('HGET', KEYS[1], 'batch')
if batch then
    read(KEYS[1], batch)
end
return found
