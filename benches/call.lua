-- wrk: a tools/call of 200 bytes, sent with each of the attendees' keys in turn.
-- Arguments after `--`: the file of keys, the path, and `close` for a new
-- connection each time.

local requests, n = {}, 0

function init(args)
  local body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":2,"b":3,"note":"'
  body = body .. string.rep("x", 200 - #body - 4) .. '"}}}'
  local headers = {
    ["Content-Type"] = "application/json",
    ["Accept"] = "application/json, text/event-stream",
    ["MCP-Protocol-Version"] = "2025-06-18",
  }
  if args[3] == "close" then headers["Connection"] = "close" end
  for key in io.lines(args[1]) do
    headers["api-key"] = key
    requests[#requests + 1] = wrk.format("POST", args[2], headers, body)
  end
end

function request()
  n = n % #requests + 1
  return requests[n]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nJSON {"requests":%d,"seconds":%.3f,"p50_us":%d,"p99_us":%d,"errors":%d,"refused":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
