#include "broker/broker_int.h"

#include <stdio.h>

typedef struct error_row {
    const char *name;
    const char *about;
    int number;
    weir_code code;
} error_row;

static const error_row rows[] = {
#define BROKER_ERROR(name, number, code, about) {#name, about, number, WEIR_##code},
#include "broker/errors.def"
#undef BROKER_ERROR
};

static const error_row *row_of(broker_error error) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].number == (int)error) return &rows[i];
    }
    return &rows[0];
}

const char *broker_error_name(broker_error error) { return row_of(error)->name; }
const char *broker_error_about(broker_error error) { return row_of(error)->about; }

weir_status broker_error_status(broker_error error, const char *subject_format, ...) {
    const error_row *row = row_of(error);
    weir_assert(row->code != WEIR_OK);
    char subject[512];
    va_list args;
    va_start(args, subject_format);
    vsnprintf(subject, sizeof subject, subject_format, args);
    va_end(args);
    return weir_fail(row->code, "%s: %s (%s)", subject, row->about, row->name);
}

broker_error broker_error_of(weir_status status) {
    switch (status.code) {
    case WEIR_OK: return BROKER_NONE;
    case WEIR_NOT_FOUND: return BROKER_UNKNOWN_TOPIC_OR_PARTITION;
    case WEIR_OUT_OF_RANGE: return BROKER_OFFSET_OUT_OF_RANGE;
    case WEIR_INVALID:
    case WEIR_CORRUPT: return BROKER_CORRUPT_MESSAGE;
    case WEIR_IO:
    case WEIR_DISK_FULL: return BROKER_KAFKA_STORAGE_ERROR;
    case WEIR_FENCED: return BROKER_INVALID_PRODUCER_EPOCH;
    case WEIR_UNSUPPORTED: return BROKER_UNSUPPORTED_FOR_MESSAGE_FORMAT;
    case WEIR_BUSY:
    case WEIR_FULL:
    case WEIR_NO_MEMORY:
    case WEIR_TIMEOUT: return BROKER_REQUEST_TIMED_OUT; /* retriable: the client comes again */
    default: return BROKER_UNKNOWN_SERVER_ERROR;
    }
}
