-- Write a key's record over the one that is there; its rate clocks stay.
--
-- KEYS: 1 key record   ARGV: 1… fields and values   last: epoch
return redis.call('HSET', KEYS[1], 'epoch', ARGV[#ARGV], unpack(ARGV, 1, #ARGV - 1))
