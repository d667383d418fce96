-- One request, made once and sent over and over: wrk builds it only once as long as there is no request().
-- Arguments after the URL: path, body, and headers as pairs of name and value.
function init(arguments)
  wrk.method = "POST"
  wrk.path = arguments[1]
  wrk.body = arguments[2]
  for i = 3, #arguments, 2 do
    wrk.headers[arguments[i]] = arguments[i + 1]
  end
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    'FIGURES {"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
