/* broker, inside: what the files of this folder share.
 *
 *   open.c        life: open, rebuild, stop, close             errors.c   Kafka's error codes
 *   config.c      tables of broker and topic configs           metadata.c records of __cluster_metadata, their queue
 *   topics.c      topics in memory, create, delete, alter      replay.c   reads a partition from start to end
 *   produce.c atomic.c fetch.c offsets.c producer_ids.c        operations on partitions
 *   groups.c      the classic protocol's state machine         group_store.c   committed offsets, __consumer_offsets
 *   kafka_*.c     the doors
 *
 * Thread: everything on the broker's lane unless a function says otherwise. */
#ifndef WEIR_BROKER_BROKER_INT_H
#define WEIR_BROKER_BROKER_INT_H

#include "base/arena.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/trace.h"
#include "broker/broker.h"
#include "wire/codec.h"
#include "wire/record_batch.h"

enum {
    BROKER_RECORDS_BYTES_MAX = 64 << 20,   /* of one batch when it is decompressed */
    BROKER_METADATA_BATCH_BYTES_MAX = 8 << 20,
    BROKER_REPLAY_READ_BYTES = 1 << 20,
    BROKER_FETCH_HELD_BYTES_MAX = 128 << 20, /* read for fetches and not yet sent; above it each part gets little */
    BROKER_FETCH_SQUEEZED_BYTES = 64 << 10,
    BROKER_FRAMES_BYTES_MAX = 256 << 20,   /* requests that arrive or are being worked on */
    BROKER_NEW_MEMBER_MS = 5 * 60 * 1000,  /* a first JoinGroup that never came back, as Kafka */
    BROKER_PRODUCER_BLOCK = 1000,
    BROKER_NAME_TEXT_MAX = 300
};

/* ---- topics ------------------------------------------------------------------------------------------------------ */

typedef struct topic_limits { /* a topic's configs, parsed */
    int64_t message_bytes_max;
    int64_t timestamp_before_ms_max, timestamp_after_ms_max;
    int64_t segment_bytes, segment_ms;
    int64_t retention_bytes, retention_ms;
    int64_t compaction_lag_ms, delete_retention_ms;
    double dirty_ratio;
    bool append_time;
    bool compacted, deleted; /* cleanup.policy */
    bool producer_codec; /* compression.type=producer: batches stay as they came */
    wire_codec codec;
    int level;
} topic_limits;

typedef struct topic_entry {
    broker_topic info; /* first: a broker_topic is a topic_entry */
    log_partition **logs;
    char **overrides;  /* by index in the table of topic configs; NULL = default */
    topic_limits limits;
    bool deleting;     /* its RemoveTopic record is on the way */
} topic_entry;

/* config.c */
typedef struct topic_config {
    weir_option option;
    const char *synonym; /* the broker property that is its default, NULL = none */
    int8_t type;         /* of DescribeConfigs */
} topic_config;
extern const topic_config broker_topic_configs[];
size_t broker_topic_config_count(void);
/* Index in the table, -1 = no such config. */
int broker_topic_config_index(weir_bytes name);
weir_status broker_topic_config_check(const char *topic, const weir_setting *configs, size_t count) WEIR_MUST_USE;
const char *broker_topic_config_value(const broker_node *broker, const topic_entry *topic, size_t index,
                                      broker_config_source *source);
/* What its partitions need of its configs. */
log_partition_config broker_topic_log_config(const topic_entry *topic);
void broker_topic_limits_update(const broker_node *broker, topic_entry *topic);
const char *broker_property(const broker_node *broker, const char *name, broker_config_source *source);
int64_t broker_property_i64(const broker_node *broker, const char *name);
bool broker_property_is(const broker_node *broker, const char *name);

/* dynamic_configs.c: configs altered while the broker runs */
enum { BROKER_RESOURCE_TOPIC = 2, BROKER_RESOURCE_BROKER = 4, BROKER_RESOURCE_GROUP = 32 }; /* the protocol's */
typedef struct config_set { /* a list of settings, names and values owned */
    weir_setting *items;
    size_t count, capacity;
} config_set;
const char *broker_config_set_get(const config_set *set, const char *name); /* NULL = not there */
void broker_config_set_put(broker_node *broker, config_set *set, const char *name, const char *value);
void broker_config_set_free(broker_node *broker, config_set *set);
/* Kafka's update modes "per-broker" and "cluster-wide". */
bool broker_property_is_dynamic(const char *name);
extern const weir_option broker_group_configs[];
/* A group's config, or the broker property with its default. */
int64_t broker_group_config_i64(const broker_node *broker, weir_bytes group, const char *name);
/* A config record of a broker or a group at start; what this weir does not know it leaves in the log. */
void broker_dynamic_config_restore(broker_node *broker, int8_t resource, weir_bytes name, weir_bytes key,
                                   weir_bytes value);
/* The properties in effect, after start and after each change. */
void broker_properties_update(broker_node *broker);
void broker_dynamic_configs_free(broker_node *broker);

/* ---- metadata ---------------------------------------------------------------------------------------------------- */

typedef struct metadata_change metadata_change;
struct metadata_change { /* one at a time: each is judged when all before it are durable */
    broker_node *broker;
    /* Judges and encodes records into the batch; false: nothing to append, finish() comes at once. */
    bool (*prepare)(metadata_change *change);
    /* OK = durable (or nothing was to be appended). Frees the change's owner. */
    void (*finish)(metadata_change *change, weir_status status);
    void *owner;
    weir_arena arena;
    weir_buffer buffer;
    wire_builder builder;
    log_group group;
    log_batch batch;
    metadata_change *next;
};
/* Allocates; metadata_queue() starts it. */
metadata_change *broker_metadata_change(broker_node *broker, bool (*prepare)(metadata_change *change),
                                        void (*finish)(metadata_change *change, weir_status status), void *owner);
void broker_metadata_queue(metadata_change *change);
/* One record of the change's batch. */
void broker_metadata_add(metadata_change *change, wire_message_id id, int version, const void *record);
void broker_metadata_add_topic(metadata_change *change, weir_bytes name, const uint8_t id[16], int32_t first_partition,
                               int32_t partition_count);
void broker_metadata_add_config(metadata_change *change, weir_bytes topic, weir_bytes name, const char *value);
void broker_metadata_add_resource_config(metadata_change *change, int8_t resource, weir_bytes resource_name,
                                         weir_bytes name, const char *value);
/* Applies a record batch of __cluster_metadata at start. */
weir_status broker_metadata_replay(broker_node *broker, const wire_record *record) WEIR_MUST_USE;
/* The first records of an empty folder. */
void broker_metadata_bootstrap(broker_node *broker, void (*done)(broker_node *broker, weir_status status));
/* Answers what waits in the queue; the one in the log ends by itself. */
void broker_metadata_stop(broker_node *broker);

extern const uint8_t broker_metadata_topic_id[16];
#define BROKER_METADATA_TOPIC "__cluster_metadata"
#define BROKER_OFFSETS_TOPIC "__consumer_offsets"

/* topics.c */
topic_entry *broker_topic_get(const broker_node *broker, weir_bytes name);
topic_entry *broker_topic_get_id(const broker_node *broker, const uint8_t id[16]);
weir_status broker_topic_add(broker_node *broker, weir_bytes name, const uint8_t id[16]) WEIR_MUST_USE;
weir_status broker_topic_add_partition(broker_node *broker, topic_entry *topic, int32_t partition) WEIR_MUST_USE;
void broker_topic_set_config(broker_node *broker, topic_entry *topic, weir_bytes name, weir_bytes value);
/* After a change of its configs or of their defaults. */
void broker_topic_limits_apply(broker_node *broker, topic_entry *topic);
void broker_topic_drop(broker_node *broker, topic_entry *topic);
void broker_topics_free(broker_node *broker);
/* The partition of a target, or the error of its absence. *found may be NULL. */
broker_error broker_resolve(const broker_node *broker, const broker_target *target, topic_entry **found,
                            log_partition **log);
bool broker_topic_is_internal(weir_bytes name);

/* ---- replay ------------------------------------------------------------------------------------------------------ */

typedef struct broker_replay broker_replay;
struct broker_replay {
    broker_node *broker;
    log_partition *log;
    weir_status (*apply)(broker_node *broker, const wire_record *record);
    void (*marker)(broker_node *broker, int64_t producer_id, bool commit); /* NULL = passed over */
    const wire_batch *batch; /* that the record is in */
    void (*done)(broker_node *broker, weir_status status);
    log_read read;
    int64_t offset;
};
void broker_replay_start(broker_replay *replay);

/* ---- groups ------------------------------------------------------------------------------------------------------ */

typedef enum group_state { GROUP_EMPTY, GROUP_PREPARING, GROUP_COMPLETING, GROUP_STABLE } group_state;

typedef struct group_protocol {
    weir_bytes name; /* owned */
    weir_bytes metadata;
} group_protocol;

typedef struct group_member {
    char *id;
    char *instance_id; /* NULL = dynamic */
    char *client_id, *client_host;
    int32_t session_timeout_ms, rebalance_timeout_ms;
    group_protocol *protocols;
    size_t protocol_count;
    weir_bytes assignment; /* owned */
    int64_t deadline_ns;   /* of its session */
    bool synced;           /* has sent SyncGroup in this generation */
    broker_join *join;     /* waiting for the round to complete */
    broker_sync *sync;     /* waiting for the leader */
} group_member;

typedef struct group_pending { /* KIP-394: ids given out and not yet used */
    char *id;
    int64_t deadline_ns;
} group_pending;

typedef struct group_offset {
    broker_offset value; /* topic and metadata owned */
    int64_t commit_ms;
    uint32_t pending;    /* commits on their way to the disk or to the end of their transaction */
    uint32_t unstable;   /* of them, those of transactions */
    bool present;        /* false while only pending */
} group_offset;

typedef struct consumer_group consumer_group;
struct group_entry {
    broker_node *broker;
    char *id;
    consumer_group *consumer;   /* of the consumer protocol; then the classic fields below are at rest */
    group_state state;
    int32_t generation;
    char *protocol_type; /* NULL = a simple group_entry */
    char *protocol;      /* of this generation */
    char *leader;        /* member id */
    int64_t state_ms;    /* wall time of the last change */
    group_member **members;
    size_t member_count, member_capacity;
    group_pending *pending;
    size_t pending_count, pending_capacity;
    int64_t round_deadline_ns;  /* PREPARING: members that have not joined by then are dropped */
    bool round_delay;           /* group.initial.rebalance.delay.ms runs */
    bool storing;               /* the leader's assignment is on its way to the disk */
    uint32_t uses;              /* appends in flight */
    io_timer timer;
    io_job timer_job;
    weir_map offsets;           /* "topic\0" + partition -> group_offset */
};

group_entry *broker_group_get(const broker_node *broker, weir_bytes id);
group_entry *broker_group_make(broker_node *broker, weir_bytes id); /* NULL at BROKER_GROUPS_MAX */
void broker_group_drop_if_unused(group_entry *group);
void broker_group_free(group_entry *group);
const char *broker_group_state_name(const group_entry *group);
/* May an offset commit of this member go in? Touches its session. */
broker_error broker_group_commit_check(broker_node *broker, weir_bytes group, weir_bytes member_id,
                                       weir_bytes instance_id, int32_t generation);
/* The same, told in the words of a client that knows of epochs or not. */
broker_error broker_group_commit_error(const broker_node *broker, weir_bytes group, broker_error error,
                                       bool epochs_known);
void broker_groups_stop(broker_node *broker);
void broker_group_restore(group_entry *group, const wire_group_metadata_value *value);
void broker_group_resume(group_entry *group);
void broker_group_forget(group_entry *group);
/* May be read by a member that is there now; a member whose metadata says nothing reads everything. */
bool broker_group_reads(const group_entry *group, weir_bytes topic);
/* A member's metadata for the group's protocol. */
weir_bytes broker_group_member_subscription(const group_entry *group, const group_member *member);

typedef struct group_append group_append;
/* consumer_groups.c, consumer_store.c */
void broker_consumer_free(group_entry *group);
/* Nobody is in it and nothing of it is on its way to the disk; also true for a classic group. */
bool broker_consumer_is_idle(const group_entry *group);
size_t broker_consumer_member_count(const group_entry *group);
void broker_consumer_resume(group_entry *group);
void broker_consumer_stop(group_entry *group);
broker_error broker_consumer_leave(group_entry *group, weir_bytes member_id, weir_bytes instance_id);
broker_error broker_consumer_epoch_check(const group_entry *group, weir_bytes member_id, int32_t epoch);
bool broker_consumer_reads(const group_entry *group, weir_bytes topic);
void broker_consumer_info(const group_entry *group, broker_group_info *info);
bool broker_consumer_is_unused(const group_entry *group);
weir_status broker_consumer_replay(broker_node *broker, int16_t kind, weir_bytes key, weir_bytes value,
                                   weir_arena *arena) WEIR_MUST_USE;
void broker_consumer_append_tombstones(group_append *append, const group_entry *group);

/* group_store.c */
typedef struct group_use { /* a committed offset on its way to the disk */
    group_entry *group;
    group_offset *offset;
    int64_t value;
    int32_t leader_epoch;
    char *metadata;
    int64_t commit_ms;
    bool tombstone;
} group_use;

struct group_append { /* records on their way into __consumer_offsets, with whatever shares their atomic group_entry */
    broker_node *broker;
    weir_buffer buffer;
    wire_builder builder;
    wire_batch_options options; /* with a producer id the offsets become visible with its transaction */
    log_group group;
    log_batch own;
    bool is_ready; /* the batch is complete */
    io_job job;
    weir_code failed;
    void (*done)(group_append *append, weir_status status);
    void *owner;
    group_use *uses;
    size_t use_count, use_capacity;
    group_append *next;
};
/* `done` comes after the offsets have become visible (or not); the append is freed after it. */
group_append *broker_group_append(broker_node *broker, void (*done)(group_append *append, weir_status status),
                                  void *owner);
/* false at BROKER_OFFSETS_MAX. */
/* The offset of a partition goes; nothing when there is none. */
void broker_group_append_tombstone(group_append *append, group_entry *group, weir_bytes topic, int32_t partition);
bool broker_group_append_offset(group_append *append, group_entry *group, const broker_offset *offset);
/* Any record; `value` NULL = its tombstone. */
void broker_group_append_record(group_append *append, wire_message_id key_id, const void *key, wire_message_id value_id,
                                int version, const void *value);
void broker_group_append_group_tombstone(group_append *append, const group_entry *group);
/* Frees one that was not sent; its done() is not called. */
void broker_group_append_drop(group_append *append);
void broker_group_append_group(group_append *append, const group_entry *group);
/* `batches`: NULL, or batches that go before the records in one atomic group, with one free place at the end; borrowed
 * until done. */
void broker_group_append_send(group_append *append, log_batch *batches, size_t batch_count);
void broker_group_use_end(group_use *use, bool durable);
broker_error broker_offset_check(broker_node *broker, const guard_principal *principal, broker_offset *offset);
weir_status broker_offsets_replay(broker_node *broker, const wire_record *record) WEIR_MUST_USE;
void broker_offsets_loaded(broker_node *broker); /* groups come back as they were stored */
void broker_offsets_topic_deleted(broker_node *broker, const topic_entry *topic);
void broker_offsets_expire(broker_node *broker);
void broker_group_offsets_free(group_entry *group);
void broker_appends_stop(broker_node *broker);

/* ---- transactions: txn_int.h ------------------------------------------------------------------------------------- */

typedef struct broker_transactions broker_transactions;
void broker_transactions_open(broker_node *broker);
void broker_transactions_free(broker_node *broker);
log_partition *broker_transactions_log(const broker_node *broker); /* NULL = no topic yet */
weir_status broker_transactions_replay(broker_node *broker, const wire_record *record) WEIR_MUST_USE;
void broker_transactions_loaded(broker_node *broker);
void broker_transactions_expire(broker_node *broker);
void broker_transactions_stop(broker_node *broker);
/* Offsets of an open transaction: kept until it ends. */
void broker_txn_offsets_hold(broker_node *broker, int64_t producer_id, const group_use *use);
void broker_txn_offsets_settle(broker_node *broker, int64_t producer_id, bool commit);

/* Stopping: ends what waits. What is in the log ends by itself. */
void broker_fetches_stop(broker_node *broker);
void broker_produces_stop(broker_node *broker);

/* ---- the doors --------------------------------------------------------------------------------------------------- */

typedef struct kafka_listener kafka_listener;
typedef struct kafka_conn kafka_conn;
void broker_doors_stop(broker_node *broker);
void broker_doors_free(broker_node *broker);

/* ---- the broker -------------------------------------------------------------------------------------------------- */

struct broker_node {
    io_world world;
    io_lane *lane;
    const guard_authoriser *authoriser;
    weir_account account;        /* control structures */
    weir_account frames;         /* requests and their answers */
    config_set properties;        /* in effect: what was given at the start, and what was altered since */
    config_set given, node_configs, cluster_configs;
    weir_map group_configs;      /* group id -> config_set */
    int64_t fetch_bytes_max, request_bytes_max, connections_max; /* properties asked for often */
    bool auto_create;
    int64_t start_ns, start_wall_ms; /* both clocks at the start */
    int32_t node_id;
    char cluster_id[32];
    char *directory;
    log_store *log;
    wire_compressor *compressor;
    weir_buffer scratch;         /* decompressed records of one batch */
    weir_buffer rebuilt;         /* a batch in the topic's codec */
    void (*ready)(void *arg, weir_status status);
    void *ready_arg;
    bool is_ready, stopping, stopped;
    void (*stopped_callback)(void *arg);
    void *stopped_arg;
    io_job start_job, stop_job, log_stopped_job;
    size_t operations;           /* started and not yet done */

    weir_map topics_by_name, topics_by_id;
    topic_entry **topics;              /* by name */
    size_t topic_count, topic_capacity;
    int64_t partition_count;
    uint64_t topics_version;     /* rises with every topic and partition that comes or goes */
    log_partition *metadata_log;
    metadata_change *changes_first, *changes_last;
    bool change_running;
    io_job change_job, change_room_job;
    broker_replay replay;
    broker_create_topic offsets_create;

    int64_t next_producer_id, producer_block_end;
    broker_producer_id *producer_waiting_first, *producer_waiting_last;
    bool producer_block_asked;

    broker_produce *room_first,
        *room_last; /* produces that wait for room in the log or a partition's check, in order */
    io_job room_job;

    broker_fetch *fetches;       /* started and not done */
    size_t fetch_held_bytes;

    weir_map groups;
    group_entry **group_list;
    size_t group_count, group_capacity;
    size_t offset_count;
    group_append *appends_waiting_first, *appends_waiting_last;
    io_job appends_room_job;
    io_timer expire_timer;
    io_job expire_job;

    broker_transactions *transactions;

    kafka_listener *listeners;
    size_t listener_count, connection_count;

    weir_metric produced_bytes, fetched_bytes, requests, connections;
};

static inline bool broker_may(const broker_node *broker, const guard_principal *principal, guard_operation operation,
                              guard_resource resource, weir_bytes name) {
    return guard_may(broker->authoriser, principal, operation, resource, name);
}
static inline int64_t broker_now_ns(const broker_node *broker) { return io_now_ns(broker->world.clock); }
static inline int64_t broker_wall_ms(const broker_node *broker) { return io_wall_ms(broker->world.clock); }
static inline void broker_post(broker_node *broker, io_job *job) { io_post(broker->world.executor, broker->lane, job); }
/* Every operation that ends later is counted, so that a stop knows when the last one has. */
static inline void broker_operation_begin(broker_node *broker) { broker->operations++; }
void broker_operation_end(broker_node *broker);
void broker_connection_ended(broker_node *broker);
/* The code that a client gets for a failure of the log. */
broker_error broker_error_of(weir_status status);
void broker_random_uuid(broker_node *broker, uint8_t id[16]);
log_partition *broker_offsets_log(const broker_node *broker);
/* Text of the protocol: base64 without padding, as Kafka prints ids. */
char *broker_bytes_text(broker_node *broker, weir_bytes bytes);

#endif
