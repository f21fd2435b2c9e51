-- Whole turns for wrk: a turn that began is finished by whichever connection is free next.
local name, started = "?", 0
local begun = {}
local threads = {}

function setup(thread)
  table.insert(threads, thread)
  thread:set("name", tostring(#threads))
end

function init(args)
  prefix = args[1] or "bench"
  failed = 0
  finished = 0
  say = string.rep("Twelve bytes", 30)
end

function request()
  local turn = table.remove(begun, 1)  -- the oldest: a key that comes again is free by then
  local headers = { ["Content-Type"] = "application/json" }
  if turn then
    return wrk.format("POST", "/v1/turns/" .. turn .. "/finish", headers, '{"message": "' .. say .. '"}')
  end
  started = started + 1
  local body = '{"key": "' .. prefix .. ":" .. name .. "-" .. (started % 256) .. '", "message": "' .. say .. '"}'
  return wrk.format("POST", "/v1/turns", headers, body)
end

function response(status, headers, body)
  if status == 201 then
    table.insert(begun, body:match('"id":"([^"]+)"'))
  elseif status == 200 then
    finished = finished + 1
  else
    failed = failed + 1
  end
end

function done(summary, latency, requests)
  local all, bad = 0, 0
  for _, thread in ipairs(threads) do
    all = all + thread:get("finished")
    bad = bad + thread:get("failed")
  end
  local e = summary.errors
  io.write(string.format(
    'FIGURES {"turns": %d, "failed": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f}\n',
    all, bad + e.connect + e.read + e.write + e.timeout, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
