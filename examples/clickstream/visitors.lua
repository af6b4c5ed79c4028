-- How visitors walk the site (wrk's script): home, then on to other pages with the page before as referrer; some ask for what
-- is not there, some have odd user agents, some are robots and scanners that do not even speak HTTP.
local agents = {
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15",
    "curl/7.88.1",
    "",
    'Weird "quoted" agent \\ with a backslash',
    "机器人/1.0",
}
local pages = {
    "/", "/", "/", "/products.html", "/products.html", "/about.html", "/caf%C3%A9.html", "/café.html",
    "/search?q=streams", "/search?q=%E2%82%AC&page=2", "/old", "/broken", "/missing", "/favicon.ico",
}
local rubbish = {
    "\022\003\001\002\000\001\000\001\252\003\003\r\n\r\n", -- a TLS hello on the plain port
    "HELLO\r\n\r\n",
    "GET /no-protocol-version FTP/9.9\r\nHost: x\r\n\r\n",
    "\255\254\253 / HTTP/1.1\r\nHost: x\r\n\r\n",
}
local last = nil
local turn = 0

function init(args)
    math.randomseed(tonumber(args[1] or "1"))
end

-- Milliseconds between the requests of one connection.
function delay()
    return math.random(0, 4)
end

function request()
    turn = turn + 1
    if turn % 97 == 0 then
        return rubbish[math.random(#rubbish)]
    end
    local page = pages[math.random(#pages)]
    local headers = { ["Host"] = "localhost", ["User-Agent"] = agents[math.random(#agents)] }
    if last and math.random() < 0.6 then
        headers["Referer"] = "http://localhost" .. last
    end
    last = page
    return wrk.format("GET", page, headers)
end
