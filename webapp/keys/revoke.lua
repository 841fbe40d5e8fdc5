-- Refuse a key from now on. A record that is filled from SQL later finds this one and leaves it.
--
-- KEYS: 1 key record   ARGV: 1 epoch
redis.call('PERSIST', KEYS[1])
return redis.call('HSET', KEYS[1], 'state', 'revoked', 'epoch', ARGV[1])
