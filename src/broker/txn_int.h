/* txn_int - the transaction coordinator, inside (KIP-98, KIP-360, KIP-890).
 *
 *   transactions.c   what a transactional id may do next: init, join, end, time out
 *   txn_store.c      __transaction_state in Kafka's records, written and read back
 *   txn_offsets.c    offsets that are committed with a transaction
 *
 * One node is coordinator, leader of every partition and group coordinator, and its journal is one commit point. So
 * a transaction ends in ONE group of the log: all markers, and the coordinator's record, are durable together; there is
 * no state between "prepared" and "complete" that a restart could find. A transaction's record is in the log before the
 * first batch of each of its partitions, because groups become durable in the order of their appends.
 *
 * Each change takes effect in memory when it is appended and is told when it is durable. A change that nothing may
 * overtake marks the entry `busy`; who comes meanwhile hears CONCURRENT_TRANSACTIONS and asks again. When the log loses
 * the change (a full disk), the entry goes back to what it was.
 *
 * A client of transaction.version 2 lets partitions join by producing to them and gets a new epoch with every end; one
 * of version 1 names them first and keeps its epoch. */
#ifndef WEIR_BROKER_TXN_INT_H
#define WEIR_BROKER_TXN_INT_H

#include "broker/broker_int.h"

enum {
    TXN_IDS_MAX = 100000,       /* transactional ids known at a time */
    TXN_PARTITIONS_MAX = 100000, /* of one transaction: its markers are one group of the log */
    TXN_VERSION_OLD = 1,
    TXN_VERSION_EPOCHS = 2      /* an epoch for every transaction */
};
#define BROKER_TRANSACTIONS_TOPIC "__transaction_state"

typedef enum txn_state { /* Kafka's numbers */
    TXN_EMPTY,
    TXN_ONGOING,
    TXN_PREPARE_COMMIT,
    TXN_PREPARE_ABORT,
    TXN_COMPLETE_COMMIT,
    TXN_COMPLETE_ABORT,
    TXN_STATE_COUNT
} txn_state;

typedef struct txn_facts { /* what a record says, but for the partitions */
    int64_t producer_id;          /* -1 = none yet */
    int64_t previous_producer_id; /* before the last record; a retry that met the end of the epochs is known by it */
    int32_t timeout_ms;
    int16_t epoch;                /* -1 = never handed out */
    int16_t last_epoch;           /* before the last InitProducerId of the same producer; in memory only, as Kafka's */
    int16_t client_version;
    txn_state state;
    int64_t start_ms, update_ms;  /* wall time, only told */
} txn_facts;

typedef struct txn_partition {
    char *topic;
    int32_t partition;
} txn_partition;

typedef struct txn_entry {
    broker_node *broker;
    char *id;
    txn_facts facts;
    txn_partition *partitions; /* in order */
    size_t partition_count, partition_capacity;
    bool busy;                 /* a change that nothing may overtake is on its way */
    bool unwritten;            /* the last record was lost on its way: the next one says it again */
    uint32_t writes;           /* records on their way */
    uint32_t offset_appends;   /* offsets on their way into __consumer_offsets */
    int64_t deadline_ns;       /* of the transaction */
    int64_t touched_ns;        /* for transactional.id.expiration.ms */
    io_timer timer;
    io_job timer_job;
} txn_entry;

struct broker_transactions { /* one of a broker */
    weir_map by_id;            /* -> txn_entry */
    txn_entry **list;
    size_t count, capacity;
    weir_map offsets;          /* producer id -> txn_pending: offsets whose transaction has not ended */
};

/* ---- txn_store.c ------------------------------------------------------------------------------------------------- */

log_partition *broker_transactions_log(const broker_node *broker); /* NULL = no topic yet */
txn_entry *broker_txn_get(const broker_node *broker, weir_bytes id);
txn_entry *broker_txn_make(broker_node *broker, weir_bytes id); /* NULL at TXN_IDS_MAX */
void broker_txn_drop(txn_entry *txn);
const char *broker_txn_state_name(txn_state state);
/* -1 = not there. */
ptrdiff_t broker_txn_partition_find(const txn_entry *txn, weir_bytes topic, int32_t partition);
/* false at TXN_PARTITIONS_MAX. */
bool broker_txn_partition_add(txn_entry *txn, weir_bytes topic, int32_t partition);
void broker_txn_partitions_clear(txn_entry *txn);
void broker_txn_timer_init(txn_entry *txn); /* transactions.c */

typedef enum txn_marker { TXN_NO_MARKERS, TXN_COMMIT, TXN_ABORT } txn_marker;
typedef struct txn_change {
    txn_facts next;
    txn_marker markers;        /* to every partition of the transaction, which is over then */
    int64_t marker_producer_id;
    int16_t marker_epoch;
    bool tombstone;            /* the id is forgotten */
    void (*done)(txn_entry *txn, void *owner, weir_status status);
    void *owner;
} txn_change;
/* Appends the change as one group. OK: it holds in memory, done() comes when it is durable or lost (then the entry is
 * as before). FULL and other failures: nothing happened. */
weir_status broker_txn_write(txn_entry *txn, const txn_change *change) WEIR_MUST_USE;
weir_status broker_transactions_replay(broker_node *broker, const wire_record *record) WEIR_MUST_USE;

/* ---- transactions.c ---------------------------------------------------------------------------------------------- */

typedef struct txn_target {
    weir_bytes topic;
    int32_t partition;
} txn_target;

typedef struct txn_join { /* partitions become part of a producer's transaction */
    weir_bytes id;
    int64_t producer_id;
    int16_t epoch;
    const txn_target *targets;
    size_t target_count;
    int16_t client_version;
    void (*done)(void *owner, broker_error error); /* NULL = the caller appends behind it and need not wait */
    void *owner;
    bool waits; /* out: done() will tell; else the answer is the returned one */
    bool full;  /* out, with COORDINATOR_LOAD_IN_PROGRESS: log_wait_room() tells when it is worth another try */
} txn_join;
/* INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS, COORDINATOR_LOAD_IN_PROGRESS. */
broker_error broker_txn_join(broker_node *broker, txn_join *join);
/* Is the partition part of the producer's open transaction? As above, and INVALID_TXN_STATE. */
broker_error broker_txn_verify(const broker_node *broker, weir_bytes id, int64_t producer_id, int16_t epoch,
                               weir_bytes topic, int32_t partition);

typedef struct txn_end txn_end;
struct txn_end {
    weir_bytes id;
    int64_t producer_id;
    int16_t epoch;
    bool commit;
    int16_t client_version;
    void (*done)(txn_end *end);
    broker_error error;       /* out, as the next: with version 2 what the next transaction has to use */
    int64_t next_producer_id;
    int16_t next_epoch;
    io_job job;               /* private, as all below */
    broker_node *broker;
    txn_entry *txn;
    broker_producer_id ids;
};
void broker_txn_end(broker_node *broker, txn_end *end);

/* InitProducerId with a transactional id; see broker_producer_id_start(). */
void broker_txn_init(broker_node *broker, broker_producer_id *request);

/* ---- txn_offsets.c ----------------------------------------------------------------------------------------------- */

typedef struct txn_offsets txn_offsets;
struct txn_offsets { /* TxnOffsetCommit */
    const guard_principal *principal;
    weir_bytes id;
    int64_t producer_id;
    int16_t epoch;
    int16_t client_version; /* TXN_VERSION_EPOCHS: the group's offsets join the transaction by this */
    bool abortable;         /* the client knows TRANSACTION_ABORTABLE */
    weir_bytes group, member_id, instance_id;
    int32_t generation;
    broker_offset *offsets;
    size_t offset_count;
    void (*done)(txn_offsets *commit); /* when durable; then each entry has its error */
    io_job job;             /* private, as all below */
    broker_node *broker;
    txn_entry *txn;
};
void broker_txn_offsets_free(broker_node *broker);
void broker_txn_offsets_commit(broker_node *broker, txn_offsets *commit);

#endif
