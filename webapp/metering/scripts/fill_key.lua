-- Give Redis a key's record, unless it has one: a record that is there may be newer than what was read from SQL.
--
-- KEYS: 1 key record   ARGV: 1 seconds to keep it, or 0 for good   2… fields and values
if redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('HSET', KEYS[1], unpack(ARGV, 2))
    if ARGV[1] ~= '0' then
        redis.call('EXPIRE', KEYS[1], ARGV[1])
    end
end
return 1
