-- Makes wrk end with a line of JSON. Nothing runs per request, so it costs nothing while it measures; but with the
-- argument "each" every request asks for a path of its own: the given one and a number.
function init(arguments)
    if arguments[1] == "each" then
        local folder, number = wrk.path, 0
        request = function()
            number = number + 1
            return wrk.format("GET", folder .. number)
        end
    end
end

function done(summary)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    io.write(string.format(
        '{"requests": %d, "bytes": %d, "seconds": %.6f, "errors": %d}\n',
        summary.requests, summary.bytes, summary.duration / 1e6, failed))
end
