-- List the group's holds that are past their deadline, by the clock that set it: this server's.
--
-- KEYS: 1 group's hold deadlines
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', redis.call('TIME')[1])
