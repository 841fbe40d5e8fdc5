-- End one hold: keep the charge, which SQL has posted, and give the rest back. A charge of 0 releases it whole.
--
-- KEYS: 1 account record   2 account's holds   3 group's hold deadlines
-- ARGV: 1 hold id   2 charged micro-credits   3 account's tag   4 epoch
--
-- Returns 1, or 0 when Redis knew no such hold, or knows no such account from this epoch: the hold is ended all the same,
-- and the record counts for nothing until it is reconciled with SQL, which whoever needs it does, or the caller now.
local value = redis.call('HGET', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[3] .. ':' .. ARGV[1])
if not value or redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[4] then
    redis.call('HDEL', KEYS[1], 'epoch')
    return 0
end
local charged = tonumber(ARGV[2])
local held = read_hold(value)
redis.call('HINCRBY', KEYS[1], 'available', string.format('%.0f', held - charged))
settle_used(KEYS[1], value, charged, tonumber(redis.call('TIME')[1]))
return 1
