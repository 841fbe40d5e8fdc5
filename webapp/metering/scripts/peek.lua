-- Read all that Redis holds of one account, at one moment.
--
-- KEYS: 1 account record   2 account's holds   3 live counters of the group   4 set of the group's sealed batches
-- ARGV: 1 account's tag   2 epoch
--
-- Returns {epoch, available or '', credited, {hold id, micro-credits, …}, {batch id, unflushed micro-credits, …},
-- {field, value, …}, seconds}: the live counters are the last batch, the fields are those of budgets.lua, and the seconds
-- this server's time. What is available is not known where the record is from another epoch.
local field = 'account:' .. ARGV[1]
local record = redis.call('HGETALL', KEYS[1])
local account, budgets = {}, {}
for index = 1, #record, 2 do
    local name, value = record[index], record[index + 1]
    account[name] = value
    if string.find(name, '^[bs]:') then
        budgets[#budgets + 1] = name
        budgets[#budgets + 1] = value
    end
end
local batches = {}
for _, batch in ipairs(redis.call('SMEMBERS', KEYS[4])) do
    batches[#batches + 1] = batch
    batches[#batches + 1] = redis.call('HGET', KEYS[4] .. ':' .. batch, field) or '0'
end
local live = redis.call('HMGET', KEYS[3], 'batch', field)
if live[1] then
    batches[#batches + 1] = live[1]
    batches[#batches + 1] = live[2] or '0'
end
return {ARGV[2], account.epoch == ARGV[2] and account.available or '', account.credited or '0',
    redis.call('HGETALL', KEYS[2]), batches, budgets, tonumber(redis.call('TIME')[1])}
