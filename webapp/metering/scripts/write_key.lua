-- Write the record of a key's token in place of the one that is there: that may hold what the key has no more, such as
-- the networks that it was tied to.
--
-- KEYS: 1 key record   ARGV: 1… fields and values   last: epoch
redis.call('DEL', KEYS[1])
return redis.call('HSET', KEYS[1], 'epoch', ARGV[#ARGV], unpack(ARGV, 1, #ARGV - 1))
