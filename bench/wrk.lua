-- Makes wrk end with a line of JSON. Nothing runs per request, so it costs nothing while it measures.
function done(summary)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    io.write(string.format(
        '{"requests": %d, "bytes": %d, "seconds": %.6f, "errors": %d}\n',
        summary.requests, summary.bytes, summary.duration / 1e6, failed))
end
