/* broker - topics, produce, fetch and consumer groups of one node, in plain structs: no bytes of a request, no SQL.
 *
 * Two kinds of callers: the Kafka doors (kafka_*.c in this folder, opened with broker_listen()) and the embedded bus.
 * What Kafka clients see follows Apache Kafka 4.3 as a single KRaft node; the log below it is log/log.h.
 *
 * OPERATIONS are structs in caller's storage, filled in and handed to broker_<operation>(); the broker calls `done`
 * when the answer is in the struct. done() never runs inside the call that started the operation, and it runs exactly
 * once, also when the broker stops (the answer is then an error). All input views live until done().
 *
 * WHO ASKS. Each operation carries a principal (guard/guard.h) and is authorised inside the broker.
 *
 * ERRORS are Kafka's codes (broker_error), so that each door answers them unchanged; broker_error_status() makes a
 * weir_status for those who speak it.
 *
 * VISIBILITY. Nothing that a power cut could take back is ever told: acknowledgements, high watermarks, list offsets
 * and committed offsets are durable. Readers inside the process may read ahead (`ahead`): the journal orders what they
 * write after what they read.
 *
 * WHAT SURVIVES lives in topics: `__cluster_metadata-0` (KRaft records: FeatureLevel, RegisterBroker, Topic, Partition,
 * Config, RemoveTopic, ProducerIds), `__consumer_offsets-0` (Kafka's group and offset records) and
 * `__transaction_state-0` (its transaction log). A topic is its record; the folders follow, and those without a record
 * are removed at start.
 *
 * Threads: everything runs on one loop lane (config.lane) except where a function says otherwise. */
#ifndef WEIR_BROKER_BROKER_H
#define WEIR_BROKER_BROKER_H

#include "base/arena.h"
#include "base/option.h"
#include "guard/guard.h"
#include "io/io.h"
#include "log/log.h"

enum {
    BROKER_TOPIC_NAME_MAX = LOG_TOPIC_NAME_MAX,
    BROKER_PARTITIONS_MAX = 100000,  /* of all topics */
    BROKER_TOPIC_PARTITIONS_MAX = 10000,
    BROKER_GROUPS_MAX = 10000,
    BROKER_GROUP_MEMBERS_MAX = 1000,
    BROKER_OFFSETS_MAX = 1000000,    /* committed offsets of all groups */
    BROKER_LISTENERS_MAX = 8,
    BROKER_CONNECTIONS_MAX = 10000,
    BROKER_IN_FLIGHT_MAX = 8,        /* requests of one connection being worked on; then its socket is not read */
    BROKER_OFFSET_METADATA_MAX = 4096
};

typedef struct broker_node broker_node;

/* ---- errors: Kafka's numbers and names --------------------------------------------------------------------------- */

typedef enum broker_error {
#define BROKER_ERROR(name, number, code, about) BROKER_##name = number,
#include "broker/errors.def"
#undef BROKER_ERROR
} broker_error;

const char *broker_error_name(broker_error error);  /* "UNKNOWN_TOPIC_OR_PARTITION" */
const char *broker_error_about(broker_error error); /* one line for a person */
/* The failure as a status: "<subject>: <about>". Not for BROKER_NONE. */
weir_status broker_error_status(broker_error error, const char *subject_format, ...) WEIR_PRINTF(2, 3) WEIR_MUST_USE;

/* ---- life -------------------------------------------------------------------------------------------------------- */

typedef struct broker_config {
    const io_world *world;              /* borrowed, as everything here, until broker_close() */
    io_lane *lane;                      /* a loop lane */
    const char *directory;              /* the data folder, made when missing */
    const guard_authoriser *authoriser; /* NULL = guard_allow_all */
    const weir_setting *properties;     /* Kafka's broker properties (see broker_properties); copied */
    size_t property_count;
    uint64_t journal_bytes;             /* as in log_config; 0 = its default */
    size_t tail_bytes;
    /* On the lane, once: everything is rebuilt and operations are taken (OK), or why it cannot be. Topics and listeners
     * may be used from here on. */
    void (*ready)(void *arg, weir_status status);
    void *arg;
} broker_config;

/* The broker's properties with Kafka's names, types and defaults: num.partitions, auto.create.topics.enable,
 * message.max.bytes, group.*.session.timeout.ms, offsets.retention.minutes, log.* defaults of topics, ... */
extern const weir_option broker_properties[];

/* Opens the data folder (may wait; see log_open for its failures; INVALID for a bad property) and starts rebuilding on
 * the lane; ready() follows. Called before jobs of the lane use the broker, from any thread. */
weir_status broker_open(broker_node **broker, const broker_config *config, log_start_report *report) WEIR_MUST_USE;
/* On the lane: closes listeners and connections, ends every operation in flight, then calls stopped(). Also legal after
 * a failed ready(). */
void broker_stop(broker_node *broker, void (*stopped)(void *arg), void *arg);
/* After stopped(), from any thread, when no job of the broker can run any more: flushes, marks the folder clean. */
weir_status broker_close(broker_node *broker) WEIR_MUST_USE;
/* Instead of broker_close(): as a crash would leave it. */
void broker_abandon(broker_node *broker);

/* Opens a door for Kafka clients. Fails as io_network.listen does (BUSY = the port is taken). `advertise_host` NULL or
 * "" = the local address of each connection, `advertise_port` 0 = the bound port; 0.0.0.0 and :: are never told to
 * clients and refused here (INVALID). *bound gets the address in use. */
weir_status broker_listen(broker_node *broker, const char *name, const char *host, uint16_t port,
                          const char *advertise_host, uint16_t advertise_port, io_address *bound) WEIR_MUST_USE;

int32_t broker_node_id(const broker_node *broker);
const char *broker_cluster_id(const broker_node *broker); /* any thread */
io_lane *broker_lane(const broker_node *broker);          /* any thread */
const guard_authoriser *broker_authoriser(const broker_node *broker);

/* ---- topics ------------------------------------------------------------------------------------------------------ */

typedef struct broker_topic { /* a view, valid until the next topic is created or deleted: copy what you keep */
    char name[BROKER_TOPIC_NAME_MAX + 1];
    uint8_t id[16];
    int32_t partition_count;
    bool internal;
} broker_topic;

const broker_topic *broker_topic_find(const broker_node *broker, weir_bytes name);          /* NULL = none */
const broker_topic *broker_topic_find_id(const broker_node *broker, const uint8_t id[16]);
size_t broker_topic_count(const broker_node *broker);
/* In the order of names; NULL at the end. */
const broker_topic *broker_topic_at(const broker_node *broker, size_t index);
/* The log of a partition, NULL when there is none: for readers inside the process. Dead once the topic is deleted; a
 * waiter on it is woken then. */
log_partition *broker_partition(const broker_node *broker, weir_bytes topic, int32_t partition);
/* Kafka's Topic.validate: INVALID with the reason. */
weir_status broker_topic_name_check(weir_bytes name) WEIR_MUST_USE;

typedef struct broker_create_topic broker_create_topic;
struct broker_create_topic {
    const guard_principal *principal;
    weir_bytes name;
    int32_t partition_count;     /* -1 = num.partitions */
    int32_t replication_factor;  /* -1 or 1; more is INVALID_REPLICATION_FACTOR */
    const weir_setting *configs;
    size_t config_count;
    bool validate_only;
    bool internal;               /* the broker's own topics */
    void (*done)(broker_create_topic *create);
    broker_error error;          /* out; TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION, INVALID_CONFIG, ... */
    char message[256];           /* out: what is wrong, "" when nothing is */
    uint8_t topic_id[16];        /* out, also for one that exists */
    int32_t partitions;          /* out */
};
/* The topic's record becomes durable, then the topic visible. */
void broker_topic_create(broker_node *broker, broker_create_topic *create);

typedef struct broker_delete_topic broker_delete_topic;
struct broker_delete_topic {
    const guard_principal *principal;
    weir_bytes name;             /* data NULL: by id */
    uint8_t topic_id[16];
    void (*done)(broker_delete_topic *del);
    broker_error error;          /* out */
    char found_name[BROKER_TOPIC_NAME_MAX + 1]; /* out */
};
void broker_topic_delete(broker_node *broker, broker_delete_topic *del);

typedef struct broker_alter_topic broker_alter_topic;
struct broker_alter_topic { /* partitions and configs of a topic_entry */
    const guard_principal *principal;
    weir_bytes name;
    int32_t partition_count;     /* grow to; 0 = leave */
    const weir_setting *configs; /* value NULL = back to the default */
    size_t config_count;
    bool validate_only;
    void (*done)(broker_alter_topic *alter);
    broker_error error;          /* out */
    char message[256];           /* out */
};
void broker_topic_alter(broker_node *broker, broker_alter_topic *alter);

/* Configs as DescribeConfigs shows them. */
typedef enum broker_config_source { /* the protocol's numbers */
    BROKER_CONFIG_TOPIC = 1,
    BROKER_CONFIG_DYNAMIC_BROKER = 2,
    BROKER_CONFIG_DYNAMIC_DEFAULT = 3,
    BROKER_CONFIG_STATIC_BROKER = 4,
    BROKER_CONFIG_DEFAULT = 5,
    BROKER_CONFIG_GROUP = 8
} broker_config_source;
typedef struct broker_config_entry {
    const char *name;
    const char *value;           /* valid until the next change of configs */
    const char *about;
    const char *synonym;         /* the broker property with the same meaning, NULL = none */
    broker_config_source source;
    int8_t type;                 /* the protocol's: 1 BOOLEAN, 2 STRING, 3 INT, 5 LONG, 6 DOUBLE, 7 LIST */
    bool read_only;
} broker_config_entry;
/* Entry `index` of a topic's or the broker's configs; false at the end. */
bool broker_topic_config_at(const broker_node *broker, const broker_topic *topic, size_t index,
                            broker_config_entry *entry);
bool broker_config_at(const broker_node *broker, size_t index, broker_config_entry *entry);
/* Only what was altered for the whole cluster. */
bool broker_cluster_config_at(const broker_node *broker, size_t index, broker_config_entry *entry);
bool broker_group_config_at(const broker_node *broker, weir_bytes group, size_t index, broker_config_entry *entry);
/* Where a value would come from, best first: the topic (may be NULL), the node, the cluster, the start, the default. */
bool broker_config_synonym_at(const broker_node *broker, const broker_topic *topic, const char *name, size_t index,
                              broker_config_entry *entry);
/* Groups that have configs: *at begins as 0; false at the end. No call of the broker between. */
bool broker_group_config_next(const broker_node *broker, size_t *at, weir_bytes *group);
const char *broker_topic_config(const broker_node *broker, const broker_topic *topic,
                                const char *name); /* NULL = unknown name */

typedef enum broker_config_scope {
    BROKER_CONFIGS_OF_NODE,
    BROKER_CONFIGS_OF_CLUSTER, /* Kafka's default broker: what the nodes do not have themselves */
    BROKER_CONFIGS_OF_GROUP
} broker_config_scope;
typedef struct broker_alter_configs broker_alter_configs;
struct broker_alter_configs { /* configs that hold at once and after a restart, beside those given at the start */
    const guard_principal *principal;
    broker_config_scope scope;
    weir_bytes group;
    const weir_setting *configs; /* value NULL = back to what holds without it */
    size_t config_count;
    bool validate_only;
    void (*done)(broker_alter_configs *alter);
    broker_error error;          /* out: INVALID_REQUEST (node, cluster), INVALID_CONFIG (group) */
    char message[256];           /* out */
};
void broker_configs_alter(broker_node *broker, broker_alter_configs *alter);

/* ---- partitions in operations ------------------------------------------------------------------------------------ */

typedef struct broker_target { /* by name, or by id when name.data is NULL */
    weir_bytes topic;
    uint8_t topic_id[16];
    int32_t partition;
} broker_target;

/* ---- produce ----------------------------------------------------------------------------------------------------- */

typedef struct broker_produce broker_produce;
typedef struct broker_produce_part {
    broker_target target;
    uint8_t *bytes; /* whole record batches (magic 2); offsets and epochs are written into it; until done() */
    size_t size;
    broker_error error;          /* out */
    const char *message;         /* out: static text or NULL */
    int64_t base_offset;         /* out; -1 on failure */
    int64_t append_time_ms;      /* out; -1 with create time */
    int64_t log_start_offset;    /* out */
} broker_produce_part;
struct broker_produce {
    const guard_principal *principal;
    broker_produce_part *parts;  /* each succeeds or fails by itself */
    size_t part_count;
    int16_t acks; /* 0, 1 or -1; with 0 and 1 done() comes after the append, with -1 when it is durable */
    bool auto_create;            /* makes missing topics when auto.create.topics.enable */
    bool zstd_allowed;           /* false: UNSUPPORTED_COMPRESSION_TYPE for zstd (produce before version 7) */
    weir_bytes transactional_id; /* data NULL = none */
    bool joins_transaction;      /* its partitions join the transaction by this (KIP-890, produce from version 12) */
    bool knows_abortable;        /* TRANSACTION_ABORTABLE (from version 11) */
    void (*done)(broker_produce *produce);
    /* Every part is in the log or refused: what is produced from here on comes after it. May run inside the call; NULL
     * = not told. */
    void (*appended)(broker_produce *produce);
    size_t waiting;              /* private, as all below */
    size_t next_part;
    io_job job;
    broker_node *owner;
    broker_produce *next;
};
/* Validates as Kafka's LogValidator: magic 2, checksum, counts, sequences, size (max.message.bytes), timestamp type and
 * bounds, codec; recompresses where compression.type names another codec. */
void broker_produce_start(broker_node *broker, broker_produce *produce);

/* ---- one atomic commit ------------------------------------------------------------------------------------------- */

typedef struct broker_atomic_batch {
    broker_target target;
    uint8_t *bytes;              /* one whole record batch, made by the caller, checksum right; until done() */
    size_t size;
    bool has_expected;           /* of the first batch for a partition: INVALID_PRODUCER_EPOCH, and nothing is done, */
    int64_t expected_offset;     /* unless it would get this offset */
    int64_t base_offset;         /* out */
    int64_t end_offset;          /* out */
} broker_atomic_batch;
typedef struct broker_atomic_offset {
    weir_bytes topic;
    int32_t partition;
    int64_t offset;
} broker_atomic_offset;
typedef struct broker_atomic broker_atomic;
struct broker_atomic {
    const guard_principal *principal;
    broker_atomic_batch *batches;
    size_t batch_count;
    weir_bytes group;            /* for `offsets` */
    const broker_atomic_offset *offsets;
    size_t offset_count;
    void (*done)(broker_atomic *atomic);
    broker_error error;          /* out: NONE = all of it is durable; else nothing of it is visible */
    char message[160];           /* out */
    io_job job;                  /* private, as all below */
    broker_node *owner;
    log_batch *log_batches;
};
/* Batches for many partitions and the group's offsets as one group of the log: all durable and visible together or not
 * at all. Batches of one partition keep their order. Fails with MESSAGE_TOO_LARGE above LOG_GROUP_BYTES_MAX. While the
 * log is full the operation waits for room. */
void broker_append_atomic(broker_node *broker, broker_atomic *atomic);

/* ---- fetch ------------------------------------------------------------------------------------------------------- */

typedef struct broker_fetch broker_fetch;
typedef struct broker_fetch_part {
    broker_target target;
    int64_t offset;
    int32_t current_leader_epoch; /* -1 = not checked */
    int32_t max_bytes;
    broker_error error;           /* out */
    int64_t high_watermark;       /* out; -1 on failure, as the next */
    int64_t last_stable_offset;   /* out */
    int64_t log_start_offset;     /* out */
    weir_bytes bytes;             /* out: whole batches; until broker_fetch_release(), as the next */
    log_aborted *aborted;         /* out: with read_committed, the aborted transactions that `bytes` has something of */
    size_t aborted_count;
    bool zstd_refused;            /* in: UNSUPPORTED_COMPRESSION_TYPE for a batch of zstd (fetch before version 10) */
    bool read_held;               /* private, as all below */
    int64_t seen_end;
    log_read read;
    log_waiter waiter;
    broker_fetch *owner;
} broker_fetch_part;
struct broker_fetch {
    const guard_principal *principal;
    broker_fetch_part *parts;
    size_t part_count;
    int32_t max_wait_ms;
    int32_t min_bytes;
    bool read_committed;          /* up to the last stable offset */
    int32_t max_bytes;            /* of all parts; the first batch of the first part that has one comes whole */
    void (*done)(broker_fetch *fetch);
    broker_node *broker;               /* private, as all below */
    size_t next_part;
    size_t bytes_read;
    int64_t deadline_ns, passed_ns;
    io_timer timer;
    io_job wake;
    bool waiting, cancelled, finished;
    broker_fetch *previous, *next;
};
void broker_fetch_start(broker_node *broker, broker_fetch *fetch);
/* Ends a long poll now; done() follows. */
void broker_fetch_cancel(broker_fetch *fetch);
/* After done(): gives the bytes back. */
void broker_fetch_release(broker_fetch *fetch);

/* ---- offsets of partitions --------------------------------------------------------------------------------------- */

enum {
    BROKER_OFFSET_LATEST = -1,
    BROKER_OFFSET_EARLIEST = -2,
    BROKER_OFFSET_MAX_TIMESTAMP = -3,
    BROKER_OFFSET_EARLIEST_LOCAL = -4,
    BROKER_OFFSET_LATEST_TIERED = -5
};
typedef struct broker_list_offset broker_list_offset;
struct broker_list_offset {
    const guard_principal *principal;
    broker_target target;
    int32_t current_leader_epoch;
    int64_t timestamp_ms;         /* or one of the above */
    bool read_committed;          /* the latest is the last stable offset; nothing beyond it is found */
    void (*done)(broker_list_offset *list);
    broker_error error;           /* out */
    int64_t offset, found_timestamp_ms; /* out: -1 = none */
    int32_t leader_epoch;         /* out */
    log_time_query query;         /* private, as all below */
    int64_t stable_offset;
    io_job job;
    broker_node *broker;
};
void broker_list_offset_start(broker_node *broker, broker_list_offset *list);

/* KIP-101. At once: the largest epoch <= `epoch` and where it ends; -1/-1 when unknown. */
broker_error broker_epoch_end(broker_node *broker, const guard_principal *principal, const broker_target *target,
                              int32_t current_leader_epoch, int32_t epoch, int32_t *found_epoch, int64_t *end_offset);

/* ---- deleting records ------------------------------------------------------------------------------------------- */

typedef struct broker_delete_records broker_delete_records;
struct broker_delete_records {
    const guard_principal *principal;
    broker_target target;
    int64_t offset;               /* the first to keep; -1 = none of those that can be read now */
    void (*done)(broker_delete_records *del);
    broker_error error;           /* out */
    int64_t log_start_offset;     /* out; -1 on failure */
    log_trim trim;                /* private, as all below */
    io_job job;
    broker_node *broker;
};
void broker_records_delete(broker_node *broker, broker_delete_records *del);

/* ---- producer ids ------------------------------------------------------------------------------------------------ */

typedef struct broker_producer_id broker_producer_id;
struct broker_producer_id {
    const guard_principal *principal;
    weir_bytes transactional_id;  /* data NULL = an idempotent producer */
    int32_t timeout_ms;           /* of its transactions */
    int64_t current_id;           /* -1, or the id whose epoch is to be raised (KIP-360) */
    int16_t current_epoch;
    void (*done)(broker_producer_id *request);
    broker_error error;           /* out */
    int64_t id;                   /* out */
    int16_t epoch;                /* out */
    io_job job;                   /* private, as all below */
    broker_node *broker;
    broker_producer_id *next;
};
/* Ids come in blocks whose records are durable before the first id of a block is handed out. With a transactional id:
 * whoever used it before is fenced, and what it left open is aborted. */
void broker_producer_id_start(broker_node *broker, broker_producer_id *request);

/* ---- groups: the classic protocol -------------------------------------------------------------------------------- */

typedef struct broker_group_protocol {
    weir_bytes name;
    weir_bytes metadata;
} broker_group_protocol;
typedef struct broker_join_member { /* for the leader */
    weir_bytes member_id;
    weir_bytes instance_id;       /* data NULL = dynamic */
    weir_bytes metadata;
} broker_join_member;
typedef struct broker_join broker_join;
struct broker_join {
    const guard_principal *principal;
    weir_bytes group;
    weir_bytes member_id;         /* "" = new */
    weir_bytes instance_id;       /* data NULL = dynamic */
    weir_bytes client_id, client_host;
    weir_bytes protocol_type;
    const broker_group_protocol *protocols;
    size_t protocol_count;
    int32_t session_timeout_ms, rebalance_timeout_ms;
    bool member_id_required;      /* KIP-394: version 4 and later */
    bool skip_assignment_known;   /* KIP-814: version 9 and later */
    void (*done)(broker_join *join);
    broker_error error;           /* out, as all below; views valid during done() */
    int32_t generation;
    weir_bytes out_protocol_type, out_protocol; /* data NULL = none */
    weir_bytes leader, out_member_id;
    bool skip_assignment;
    const broker_join_member *members;
    size_t member_count;
    io_job job;                   /* private, as all below */
    broker_node *broker;
    weir_arena arena;
};
void broker_group_join(broker_node *broker, broker_join *join);

typedef struct broker_assignment {
    weir_bytes member_id;
    weir_bytes assignment;
} broker_assignment;
typedef struct broker_sync broker_sync;
struct broker_sync {
    const guard_principal *principal;
    weir_bytes group, member_id, instance_id;
    int32_t generation;
    weir_bytes protocol_type, protocol; /* data NULL = not checked */
    const broker_assignment *assignments;
    size_t assignment_count;
    void (*done)(broker_sync *sync);
    broker_error error;           /* out, as all below; views valid during done() */
    weir_bytes out_protocol_type, out_protocol;
    weir_bytes assignment;
    io_job job;                   /* private, as all below */
    broker_node *broker;
    weir_arena arena;
};
void broker_group_sync(broker_node *broker, broker_sync *sync);

/* At once. */
broker_error broker_group_heartbeat(broker_node *broker, const guard_principal *principal, weir_bytes group,
                                    weir_bytes member_id, weir_bytes instance_id, int32_t generation);
/* `member_id` "" with an instance id removes whoever holds it. */
broker_error broker_group_leave(broker_node *broker, const guard_principal *principal, weir_bytes group,
                                weir_bytes member_id, weir_bytes instance_id);

/* ---- groups: the consumer protocol (KIP-848) --------------------------------------------------------------------- */

typedef struct broker_partition_id {
    uint8_t topic_id[16];
    int32_t partition;
} broker_partition_id;
typedef struct group_entry group_entry;
typedef struct broker_consumer_heartbeat broker_consumer_heartbeat;
struct broker_consumer_heartbeat {
    const guard_principal *principal;
    weir_bytes group, member_id;
    weir_bytes instance_id, rack_id; /* data NULL = none, or as before */
    weir_bytes client_id, client_host;
    int32_t member_epoch;         /* 0 = join, -1 = leave, -2 = a static member leaves for a while */
    int32_t rebalance_timeout_ms; /* -1 = as before */
    const weir_bytes *topics;
    int32_t topic_count;          /* -1 = as before */
    weir_bytes regex;             /* data NULL = as before, empty = none any more */
    weir_bytes assignor;          /* "uniform", "range"; data NULL = any, or as before */
    const broker_partition_id *owned; /* what the member holds */
    int32_t owned_count;          /* -1 = as before */
    bool member_makes_id;         /* version 1 and later */
    void (*done)(broker_consumer_heartbeat *beat); /* when all that it tells is durable */
    broker_error error;           /* out, as all below; views valid during done() */
    const char *message;          /* NULL = none */
    weir_bytes out_member_id;
    int32_t out_epoch, interval_ms;
    bool has_assignment;
    const broker_partition_id *assigned; /* sorted */
    size_t assigned_count;
    io_job job;                   /* private, as all below */
    broker_node *broker;
    group_entry *entry;
    weir_arena arena;
};
void broker_consumer_beat(broker_node *broker, broker_consumer_heartbeat *beat);

typedef struct broker_offset {    /* one partition of a commit or of a fetch of offsets */
    weir_bytes topic;             /* views of a fetch are valid during done() */
    uint8_t topic_id[16];         /* used when topic.data is NULL */
    int32_t partition;
    int64_t offset;               /* -1 = none */
    int32_t leader_epoch;         /* -1 = unknown */
    weir_bytes metadata;
    broker_error error;           /* out */
} broker_offset;
typedef struct broker_offset_commit broker_offset_commit;
struct broker_offset_commit {
    const guard_principal *principal;
    weir_bytes group, member_id, instance_id;
    int32_t generation;           /* or the member's epoch; -1 with member_id "" = a simple consumer */
    bool epochs_known;            /* version 9 and later: STALE_MEMBER_EPOCH can be said */
    broker_offset *offsets;
    size_t offset_count;
    void (*done)(broker_offset_commit *commit); /* when durable; then each entry has its error */
    io_job job;                   /* private, as all below */
    broker_node *broker;
};
void broker_offsets_commit(broker_node *broker, broker_offset_commit *commit);

/* The committed offset, at once and durable; NULL = none. The view is valid until the next call of the broker. */
const broker_offset *broker_offset_find(const broker_node *broker, weir_bytes group, weir_bytes topic,
                                        int32_t partition);
/* Does a transaction that has not ended hold an offset for it (UNSTABLE_OFFSET_COMMIT)? */
bool broker_offset_unstable(const broker_node *broker, weir_bytes group, weir_bytes topic, int32_t partition);
/* May a member of this epoch read the group's offsets? Always when it is none (data NULL, -1), or in a classic group.
 */
broker_error broker_offsets_member_check(const broker_node *broker, weir_bytes group, weir_bytes member_id,
                                         int32_t epoch);
/* All committed offsets of a group, one after another: *at begins as 0; NULL at the end. No call of the broker between.
 */
const broker_offset *broker_offset_next(const broker_node *broker, weir_bytes group, size_t *at);
/* May this principal read the group's offsets? */
broker_error broker_offsets_readable(const broker_node *broker, const guard_principal *principal, weir_bytes group);

typedef struct broker_group_member_info {
    weir_bytes member_id, instance_id, client_id, client_host;
    weir_bytes metadata, assignment;
} broker_group_member_info;
typedef struct broker_group_info { /* views valid until the next call of the broker_node */
    weir_bytes group;
    const char *state;            /* Empty, PreparingRebalance, CompletingRebalance, Stable, Dead */
    weir_bytes protocol_type;
    weir_bytes protocol;          /* of a stable group_entry; of the consumer protocol its assignor */
    size_t member_count;
    bool consumer;                /* of the consumer protocol: Empty, Assigning, Reconciling, Stable */
} broker_group_info;
size_t broker_group_count(const broker_node *broker);
bool broker_group_at(const broker_node *broker, size_t index, broker_group_info *info);
bool broker_group_describe(const broker_node *broker, weir_bytes group, broker_group_info *info); /* false = none */
bool broker_group_member_at(const broker_node *broker, weir_bytes group, size_t index,
                            broker_group_member_info *member);

typedef struct broker_offset_delete broker_offset_delete;
struct broker_offset_delete {     /* KIP-496 */
    const guard_principal *principal;
    weir_bytes group;
    broker_offset *offsets;       /* topic and partition; each gets its error: GROUP_SUBSCRIBED_TO_TOPIC, ... */
    size_t offset_count;
    void (*done)(broker_offset_delete *del);
    broker_error error;           /* out: of all: GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP, ... */
    io_job job;                   /* private, as all below */
    broker_node *broker;
};
void broker_offsets_delete(broker_node *broker, broker_offset_delete *del);

typedef struct broker_group_delete broker_group_delete;
struct broker_group_delete {
    const guard_principal *principal;
    weir_bytes group;
    void (*done)(broker_group_delete *del);
    broker_error error;           /* out: NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, ... */
    io_job job;                   /* private, as all below */
    broker_node *broker;
};
void broker_groups_delete(broker_node *broker, broker_group_delete *del);

#endif
