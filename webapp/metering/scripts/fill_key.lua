-- Give Redis a key's record, unless it has one from this epoch: that may be newer than what was read from SQL.
--
-- KEYS: 1 key record   ARGV: 1 seconds to keep it, or 0 for good   2… fields and values   last: epoch
local epoch = ARGV[#ARGV]
if redis.call('HGET', KEYS[1], 'epoch') ~= epoch then
    -- A record from an earlier run may hold what the key has no more.
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], 'epoch', epoch, unpack(ARGV, 2, #ARGV - 1))
    if ARGV[1] ~= '0' then
        redis.call('EXPIRE', KEYS[1], ARGV[1])
    end
end
return 1
