/* guard - who asks, and whether they may: decisions only, no I/O.
 *
 * Every request, from every door and from the embedded bus, carries a principal and passes one authoriser. The only
 * authoriser so far allows everything; the calls are where they belong, so that ACLs are an implementation of the
 * vtable and not a search for forgotten doors.
 *
 * Operations and resources are Kafka's (org.apache.kafka.common.acl.AclOperation, ResourceType; KIP-11).
 * Threads: an authoriser is called from any thread and does not wait. */
#ifndef WEIR_GUARD_GUARD_H
#define WEIR_GUARD_GUARD_H

#include "base/bytes.h"

typedef enum guard_operation { /* the numbers are those of the protocol */
    GUARD_READ = 3,
    GUARD_WRITE = 4,
    GUARD_CREATE = 5,
    GUARD_DELETE = 6,
    GUARD_ALTER = 7,
    GUARD_DESCRIBE = 8,
    GUARD_CLUSTER_ACTION = 9,
    GUARD_DESCRIBE_CONFIGS = 10,
    GUARD_ALTER_CONFIGS = 11,
    GUARD_IDEMPOTENT_WRITE = 12
} guard_operation;

typedef enum guard_resource {
    GUARD_TOPIC = 2,
    GUARD_GROUP = 3,
    GUARD_CLUSTER = 4,
    GUARD_TRANSACTIONAL_ID = 5
} guard_resource;

enum { GUARD_NAME_MAX = 255 };

/* Who asks. `kind` is "User" for whom a door has let in and "System" for weir's own parts; both borrowed. */
typedef struct guard_principal {
    const char *kind;
    const char *name;
} guard_principal;

extern const guard_principal guard_anonymous; /* User:ANONYMOUS, Kafka's name for whoever did not authenticate */
extern const guard_principal guard_system;    /* System:weir, the embedded bus and the node itself */

typedef struct guard_authoriser guard_authoriser;
struct guard_authoriser {
    /* `name` of the cluster is "kafka-cluster". */
    bool (*may)(const guard_authoriser *self, const guard_principal *principal, guard_operation operation,
                guard_resource resource, weir_bytes name);
};

extern const guard_authoriser guard_allow_all;

static inline bool guard_may(const guard_authoriser *authoriser, const guard_principal *principal,
                             guard_operation operation, guard_resource resource, weir_bytes name) {
    return authoriser->may(authoriser, principal, operation, resource, name);
}
bool guard_may_cluster(const guard_authoriser *authoriser, const guard_principal *principal, guard_operation operation);

/* The operations a principal may do on a resource as the bit field of Metadata and DescribeCluster (KIP-430). */
int32_t guard_operations(const guard_authoriser *authoriser, const guard_principal *principal, guard_resource resource,
                         weir_bytes name);

#endif
