/* sql/plan internals. */
#ifndef WEIR_SQL_PLAN_PLAN_INT_H
#define WEIR_SQL_PLAN_PLAN_INT_H

#include "sql/plan/plan.h"

/* shape.c: the topology of a checked query. `sink` is what a persistent query writes, NULL for a push query. */
const flow_topology *sql_shape_query(sql_analyser *analyser, const sql_checked_query *query, const sql_source *sink,
                                     const char *query_id, bool from_earliest);
/* How a source's topic is read and written. */
flow_topic sql_shape_topic(const sql_source *source);

#endif
