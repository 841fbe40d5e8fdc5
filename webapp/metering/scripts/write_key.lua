-- Write the record of a key's token in place of the one that is there.
--
-- KEYS: 1 key record   ARGV: 1… fields and values   last: epoch
-- What it may have beside these, such as networks that are no more, must not stay.
redis.call('DEL', KEYS[1])
return redis.call('HSET', KEYS[1], 'epoch', ARGV[#ARGV], unpack(ARGV, 1, #ARGV - 1))
