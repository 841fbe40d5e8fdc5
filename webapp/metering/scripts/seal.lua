-- Set the group's live counters aside as a sealed batch, so that new calls count into fresh ones.
--
-- KEYS: 1 live counters   2 set of sealed batches
--
-- Returns the ids of every batch that waits to be applied: this one, and any that a crash left behind. The batch keeps
-- the id that its first call gave it. The sealed batch's name is not declared in KEYS, because its id is read here; it
-- carries the same hash tag and so lies in the same slot.
local batch = redis.call('HGET', KEYS[1], 'batch')
if batch then
    redis.call('RENAME', KEYS[1], KEYS[2] .. ':' .. batch)
    redis.call('SADD', KEYS[2], batch)
end
return redis.call('SMEMBERS', KEYS[2])
