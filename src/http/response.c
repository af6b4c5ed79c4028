#include "http/http.h"

#include "base/time.h"

static const struct {
    unsigned status;
    const char *reason;
} reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *http_status_reason(unsigned status) {
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status) return reasons[i].reason;
    return "Unknown";
}

/* RFC 9110, section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT". */
static void date_append(weir_buffer *target, int64_t ms) {
    static const char days[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const weir_civil civil = weir_civil_from_ms(ms);
    const int64_t day = weir_days_from_civil(civil.year, civil.month, civil.day);
    weir_buffer_format(target, "Date: %s, %02u %s %04d %02u:%02u:%02u GMT\r\n", days[((day % 7) + 7) % 7], civil.day,
                       months[civil.month - 1], civil.year, civil.hour, civil.minute, civil.second);
}

void http_header_append(weir_buffer *target, const char *name, const char *value) {
    weir_buffer_append_text(target, name);
    weir_buffer_append_text(target, ": ");
    for (; *value; value++) {
        const uint8_t byte = (uint8_t)*value;
        weir_buffer_append_byte(target, byte < 0x20 || byte == 0x7f ? ' ' : byte);
    }
    weir_buffer_append_text(target, "\r\n");
}

void http_head_append(weir_buffer *target, const http_head *head) {
    weir_buffer_format(target, "HTTP/1.1 %u %s\r\n", head->status, http_status_reason(head->status));
    date_append(target, head->date_ms);
    if (head->content_type) http_header_append(target, "Content-Type", head->content_type);
    switch (head->framing) {
    case HTTP_FIXED:
        weir_buffer_format(target, "Content-Length: %llu\r\n", (unsigned long long)head->content_length);
        break;
    case HTTP_CHUNKED: weir_buffer_append_text(target, "Transfer-Encoding: chunked\r\n"); break;
    case HTTP_UNTIL_CLOSE:
    case HTTP_NO_BODY: break;
    }
    if (!head->keep_alive)
        weir_buffer_append_text(target, "Connection: close\r\n");
    else if (head->version_minor == 0)
        weir_buffer_append_text(target, "Connection: keep-alive\r\n");
    weir_buffer_append(target, head->extra.data, head->extra.size);
    weir_buffer_append_text(target, "\r\n");
}

void http_chunk_append(weir_buffer *target, weir_bytes data) {
    if (data.size == 0) return;
    weir_buffer_format(target, "%zx\r\n", data.size);
    weir_buffer_append(target, data.data, data.size);
    weir_buffer_append_text(target, "\r\n");
}

void http_chunk_end_append(weir_buffer *target) {
    weir_buffer_append_text(target, "0\r\n\r\n");
}
