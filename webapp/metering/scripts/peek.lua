-- Read all that Redis holds of one account, at one moment.
--
-- KEYS: 1 account record   2 account's holds   3 live counters of the group   4 set of the group's sealed batches
-- ARGV: 1 account's tag   2 name of a sealed batch without its id
--
-- Returns {available or '', credited, {hold id, micro-credits, …}, unflushed live, {batch id, unflushed, …}} in micro-credits.
local field = 'account:' .. ARGV[1]
local sealed = {}
for _, batch in ipairs(redis.call('SMEMBERS', KEYS[4])) do
    sealed[#sealed + 1] = batch
    sealed[#sealed + 1] = redis.call('HGET', ARGV[2] .. batch, field) or '0'
end
return {redis.call('HGET', KEYS[1], 'available') or '', redis.call('HGET', KEYS[1], 'credited') or '0',
    redis.call('HGETALL', KEYS[2]), redis.call('HGET', KEYS[3], field) or '0', sealed}
