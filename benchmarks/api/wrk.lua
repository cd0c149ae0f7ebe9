-- Each line of the file: method, path, token, header value for If-None-Match, path of a body or "-"; tabs between.
local requests, next_one = {}, 0

function init(args)
  for line in io.lines(args[1]) do
    local method, path, token, etag, body = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)$")
    local headers = { ["Authorization"] = "Bearer " .. token }
    local content = nil
    if etag ~= "" then headers["If-None-Match"] = etag end
    if body ~= "-" then
      local file = io.open(body, "rb")
      content = file:read("*a")
      file:close()
      headers["Content-Type"] = "application/json"
    end
    requests[#requests + 1] = wrk.format(method, path, headers, content)
  end
end

function request()
  next_one = next_one % #requests + 1
  return requests[next_one]
end

function done(summary, latency, _)
  io.write(string.format("RESULT %d %d %d %d\n", summary.requests, summary.errors.status, summary.duration, latency:percentile(99)))
end
