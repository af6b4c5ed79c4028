# What clickstream.sql must have counted, from the same log, by other means: gawk -b -f expected.awk access.log
#
# Prints, tab-separated: `lines N`, `quarantined N`, and per window `tumbling START PATH VIEWS BYTES`,
# `hopping START PATH VIEWS BYTES`, `errors START METHOD REQUESTS ERRORS`. Window starts are milliseconds.
BEGIN {
    split("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec", names, " ")
    for (i in names) month[names[i]] = i
    size = 2; hop_size = 6; advance = 2
}
function epoch(text,    p, zone) { # 24/Nov/2026:10:00:00 +0000
    split(text, p, /[\/: ]/)
    zone = p[7]
    seconds = mktime(p[3] " " month[p[2]] " " p[1] " " p[4] " " p[5] " " p[6], 1)
    offset = substr(zone, 2, 2) * 3600 + substr(zone, 4, 2) * 60
    return substr(zone, 1, 1) == "-" ? seconds + offset : seconds - offset
}
function unescape(text,    out, at) {
    while ((at = match(text, /\\x[0-9A-F][0-9A-F]/)) > 0) {
        out = out substr(text, 1, at - 1) sprintf("%c", strtonum("0x" substr(text, at + 2, 2)))
        text = substr(text, at + 4)
    }
    return out text
}
{
    lines++
    if (!match($0, /^([^ ]+) - (.+) \[([^\]]+)\] "([^"]*)" ([0-9]+) ([0-9]+|-) "([^"]*)" "([^"]*)"$/, field)) {
        quarantined++
        next
    }
    request = unescape(field[4])
    if (!match(request, /^([A-Z]+) ([^ ?]+)(\?[^ ]*)? HTTP\/[0-9]\.[0-9]$/, part)) {
        quarantined++
        next
    }
    at = epoch(field[3])
    start = (at - at % size) * 1000
    bytes = field[6] == "-" ? 0 : field[6]
    views[start "\t" part[2]]++
    sent[start "\t" part[2]] += bytes
    requests[start "\t" part[1]]++
    errors[start "\t" part[1]] += field[5] >= 400
    first = at - at % advance
    for (hop = first; hop > at - hop_size; hop -= advance) {
        hop_views[hop * 1000 "\t" part[2]]++
        hop_sent[hop * 1000 "\t" part[2]] += bytes
    }
}
END {
    printf "lines\t%d\nquarantined\t%d\n", lines, quarantined
    for (k in views) printf "tumbling\t%s\t%d\t%d\n", k, views[k], sent[k]
    for (k in hop_views) printf "hopping\t%s\t%d\t%d\n", k, hop_views[k], hop_sent[k]
    for (k in requests) printf "errors\t%s\t%d\t%d\n", k, requests[k], errors[k]
}
