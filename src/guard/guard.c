#include "guard/guard.h"

const guard_principal guard_anonymous = {"User", "ANONYMOUS"};
const guard_principal guard_system = {"System", "weir"};

static bool allow_all_may(const guard_authoriser *self, const guard_principal *principal, guard_operation operation,
                          guard_resource resource, weir_bytes name) {
    (void)self, (void)operation, (void)resource, (void)name;
    weir_assert(principal && principal->name); /* a door that forgot to say who asks is a bug even while all may */
    return true;
}

const guard_authoriser guard_allow_all = {.may = allow_all_may};

bool guard_may_cluster(const guard_authoriser *authoriser, const guard_principal *principal,
                       guard_operation operation) {
    return guard_may(authoriser, principal, operation, GUARD_CLUSTER, weir_bytes_text("kafka-cluster"));
}

/* What makes sense for each resource: Kafka's AclEntry.supportedOperations. */
static uint32_t supported_operations(guard_resource resource) {
    switch (resource) {
    case GUARD_TOPIC:
        return 1u << GUARD_READ | 1u << GUARD_WRITE | 1u << GUARD_CREATE | 1u << GUARD_DELETE | 1u << GUARD_ALTER |
               1u << GUARD_DESCRIBE | 1u << GUARD_DESCRIBE_CONFIGS | 1u << GUARD_ALTER_CONFIGS;
    case GUARD_GROUP: return 1u << GUARD_READ | 1u << GUARD_DELETE | 1u << GUARD_DESCRIBE;
    case GUARD_CLUSTER:
        return 1u << GUARD_CREATE | 1u << GUARD_ALTER | 1u << GUARD_DESCRIBE | 1u << GUARD_CLUSTER_ACTION |
               1u << GUARD_DESCRIBE_CONFIGS | 1u << GUARD_ALTER_CONFIGS | 1u << GUARD_IDEMPOTENT_WRITE;
    case GUARD_TRANSACTIONAL_ID: return 1u << GUARD_WRITE | 1u << GUARD_DESCRIBE;
    }
    return 0;
}

int32_t guard_operations(const guard_authoriser *authoriser, const guard_principal *principal, guard_resource resource,
                         weir_bytes name) {
    const uint32_t supported = supported_operations(resource);
    uint32_t allowed = 0;
    for (unsigned operation = GUARD_READ; operation <= GUARD_IDEMPOTENT_WRITE; operation++) {
        if (!(supported & 1u << operation)) continue;
        if (guard_may(authoriser, principal, (guard_operation)operation, resource, name)) allowed |= 1u << operation;
    }
    return (int32_t)allowed;
}
