/* The Kafka doors, inside: a connection takes frames off its socket, a request carries one of them to its handler and
 * its answer back, in order.
 *
 * As Kafka, a connection works on one request at a time, with one exception that pipelining producers live from: a
 * produce may begin when the ones before it are in the log, before they are durable.
 *
 * A handler decodes nothing and encodes nothing: it gets the decoded message, runs operations of broker.h and calls
 * kafka_respond() once, at once or later. What it allocates comes from the request's arena, never through an allocation
 * that asserts: it returns false when memory is out, before it has started anything, and the connection is closed. */
#ifndef WEIR_BROKER_KAFKA_INT_H
#define WEIR_BROKER_KAFKA_INT_H

#include "broker/broker_int.h"

enum { KAFKA_ARENA_BYTES_MAX = 64 << 20, KAFKA_RESPONSE_BYTES_MAX = 128 << 20 };

struct kafka_listener {
    broker_node *broker;
    char *name;
    char *advertise_host; /* NULL = the local address of each connection */
    uint16_t advertise_port;
    io_listener *socket;
    io_address bound;
    kafka_conn *conns;
    kafka_listener *next;
};

typedef struct kafka_request kafka_request;
struct kafka_request {
    broker_node *broker;
    kafka_conn *conn;
    const guard_principal *principal;
    weir_buffer frame;
    weir_arena arena;
    const wire_api *api;
    wire_request_header header;
    int version;
    void *operation;                         /* the handler's */
    void (*cancel)(kafka_request *request);  /* the peer has gone: end a wait; may be NULL */
    void (*release)(kafka_request *request); /* the answer has left: give back what it pointed to; may be NULL */
    bool dispatched, answered, silent;
    bool is_produce, appended;
    weir_buffer output;
    wire_gap *gaps;
    size_t gap_count;
    size_t writes_left;
    kafka_request *next;
};

struct kafka_conn {
    kafka_listener *listener;
    io_conn *io;                /* NULL once it is gone */
    const guard_principal *principal;
    uint8_t size_bytes[4];
    size_t size_have;
    weir_buffer frame;
    size_t frame_size;          /* 0 = the size has not come yet */
    weir_buffer held;           /* came while paused */
    bool paused, closing, dispatching;
    kafka_request *first, *last; /* in the order they came, not yet handed to the socket */
    size_t listed, sending;
    size_t running;             /* dispatched and not answered */
    size_t running_ordered;     /* of them, those that let nothing follow: all but produces in the log */
    kafka_conn *previous, *next;
};

/* Encodes and sends; the views in `response` are not used after it, unless they are record batches (`with_gaps`). */
void kafka_respond(kafka_request *request, const void *response);
/* `with_gaps`: record batches in the response are not copied; release() tells when they have left. */
void kafka_respond_gaps(kafka_request *request, const void *response, size_t gap_max);
void kafka_respond_nothing(kafka_request *request); /* acks=0 */
/* A produce whose batches are in the log lets the next one begin. */
void kafka_request_appended(kafka_request *request);
void kafka_close(kafka_request *request, const char *why);
weir_bytes kafka_advertised_host(const kafka_request *request);
int32_t kafka_advertised_port(const kafka_request *request);

/* Zeroed, NULL at the limit. */
void *kafka_alloc(kafka_request *request, size_t count, size_t size) WEIR_MUST_USE;
#define kafka_array(request, type, count) ((type *)kafka_alloc((request), (size_t)(count), sizeof(type)))
/* Kafka's error text field: null when there is none. */
static inline weir_bytes kafka_text(const char *text) {
    return text && *text ? weir_bytes_text(text) : (weir_bytes){0};
}
/* Terminated, in the request's arena; NULL at the limit. */
char *kafka_text_of(kafka_request *request, weir_bytes bytes);
/* An answer that is late finds no memory: the connection closes. */
void kafka_fail_memory(kafka_request *request);
/* The features that ApiVersions tells: supported from `least` to `most`, finalised at `most`. */
typedef struct kafka_feature {
    const char *name;
    int16_t least, most;
} kafka_feature;
enum { KAFKA_FEATURES_MAX = 8 };
extern const kafka_feature kafka_features[];
extern const size_t kafka_feature_count;
/* The wire has counts as int32 and -1 for null. */
#define kafka_count(array) ((array).count > 0 ? (size_t)(array).count : 0)

/* The table, kafka_apis.c: NULL for an API without handler. */
typedef bool (*kafka_handler)(kafka_request *request, const void *message);
kafka_handler kafka_handler_of(int16_t key);
bool kafka_api_versions(kafka_request *request, const void *message);
void kafka_respond_unsupported_version(kafka_request *request);

bool kafka_metadata(kafka_request *request, const void *message);
bool kafka_create_topics(kafka_request *request, const void *message);
bool kafka_delete_topics(kafka_request *request, const void *message);
bool kafka_describe_configs(kafka_request *request, const void *message);
bool kafka_incremental_alter_configs(kafka_request *request, const void *message);
bool kafka_alter_configs(kafka_request *request, const void *message);
bool kafka_list_config_resources(kafka_request *request, const void *message);
bool kafka_create_partitions(kafka_request *request, const void *message);
bool kafka_delete_records(kafka_request *request, const void *message);
bool kafka_describe_log_dirs(kafka_request *request, const void *message);
bool kafka_describe_producers(kafka_request *request, const void *message);
bool kafka_describe_quorum(kafka_request *request, const void *message);
bool kafka_update_features(kafka_request *request, const void *message);
bool kafka_elect_leaders(kafka_request *request, const void *message);
bool kafka_alter_partition_reassignments(kafka_request *request, const void *message);
bool kafka_list_partition_reassignments(kafka_request *request, const void *message);
bool kafka_offset_delete(kafka_request *request, const void *message);
bool kafka_describe_cluster(kafka_request *request, const void *message);
bool kafka_describe_topic_partitions(kafka_request *request, const void *message);
bool kafka_produce(kafka_request *request, const void *message);
bool kafka_fetch(kafka_request *request, const void *message);
bool kafka_list_offsets(kafka_request *request, const void *message);
bool kafka_offset_for_leader_epoch(kafka_request *request, const void *message);
bool kafka_init_producer_id(kafka_request *request, const void *message);
bool kafka_find_coordinator(kafka_request *request, const void *message);
bool kafka_join_group(kafka_request *request, const void *message);
bool kafka_sync_group(kafka_request *request, const void *message);
bool kafka_heartbeat(kafka_request *request, const void *message);
bool kafka_leave_group(kafka_request *request, const void *message);
bool kafka_offset_commit(kafka_request *request, const void *message);
bool kafka_offset_fetch(kafka_request *request, const void *message);
bool kafka_consumer_group_heartbeat(kafka_request *request, const void *message);
bool kafka_consumer_group_describe(kafka_request *request, const void *message);
bool kafka_list_groups(kafka_request *request, const void *message);
bool kafka_describe_groups(kafka_request *request, const void *message);
bool kafka_delete_groups(kafka_request *request, const void *message);
bool kafka_add_partitions_to_txn(kafka_request *request, const void *message);
bool kafka_add_offsets_to_txn(kafka_request *request, const void *message);
bool kafka_end_txn(kafka_request *request, const void *message);
bool kafka_txn_offset_commit(kafka_request *request, const void *message);
bool kafka_describe_transactions(kafka_request *request, const void *message);
bool kafka_list_transactions(kafka_request *request, const void *message);

#endif
