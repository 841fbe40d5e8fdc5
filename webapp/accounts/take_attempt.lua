-- Count one attempt in every counter, unless one of them is full: then count nothing and give the milliseconds to wait.
-- KEYS: the counters. ARGV: for each, its limit and its window in milliseconds, which begins with its first attempt.

local wait = 0
for index, key in ipairs(KEYS) do
  if tonumber(redis.call("GET", key) or "0") >= tonumber(ARGV[2 * index - 1]) then
    wait = math.max(wait, redis.call("PTTL", key), 1)
  end
end
if wait > 0 then
  return wait
end
for index, key in ipairs(KEYS) do
  if redis.call("INCR", key) == 1 then
    redis.call("PEXPIRE", key, ARGV[2 * index])
  end
end
return 0
