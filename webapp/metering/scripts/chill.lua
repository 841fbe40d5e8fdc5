-- Make an account's record count for nothing until it is reconciled: no call and no hold passes before.
--
-- KEYS: 1 account record
return redis.call('HDEL', KEYS[1], 'epoch')
