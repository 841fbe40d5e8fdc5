-- Forget a sealed batch that SQL has applied.
--
-- KEYS: 1 sealed counters of the batch   2 set of sealed batches   ARGV: 1 batch id
redis.call('DEL', KEYS[1])
return redis.call('SREM', KEYS[2], ARGV[1])
