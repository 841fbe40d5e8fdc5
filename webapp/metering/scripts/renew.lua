-- Put off the moment at which a hold is found to be overdue, for a job that is still at work.
--
-- KEYS: 1 account's holds   2 group's hold deadlines   ARGV: 1 hold id   2 seconds from now   3 account's tag
--
-- Returns 1, or 0 when there is no such hold any more: the job may go on, but its charge will be refused if the hold was
-- ended because it was overdue.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
    return 0
end
redis.call('ZADD', KEYS[2], tonumber(redis.call('TIME')[1]) + tonumber(ARGV[2]), ARGV[3] .. ':' .. ARGV[1])
return 1
