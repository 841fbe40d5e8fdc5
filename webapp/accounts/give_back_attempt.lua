-- Take an attempt that succeeded off the counters. One that has expired meanwhile stays away.
-- KEYS: the counters.

for _, key in ipairs(KEYS) do
  if tonumber(redis.call("GET", key) or "0") > 0 then
    redis.call("DECR", key)
  end
end
return 0
