-- wrk's script: every request carries the next key of a file, and the end is one line of numbers.
-- Arguments: the file, a header ("Name: value") on each line; and the JSON to post, empty for a GET.

local requests, last = {}, 0

function init(arguments)
  local body = arguments[2]
  for line in io.lines(arguments[1]) do
    local name, value = line:match("^([^:]+): (.*)$")
    if body == "" then
      requests[#requests + 1] = wrk.format("GET", nil, {[name] = value})
    else
      local headers = {[name] = value, ["Content-Type"] = "application/json"}
      requests[#requests + 1] = wrk.format("POST", nil, headers, body)
    end
  end
end

function request()
  last = last % #requests + 1
  return requests[last]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
  io.write(string.format("\nresult %d %d %d %d %d\n",
    summary.requests, summary.duration, failed, latency:percentile(50), latency:percentile(99)))
end
