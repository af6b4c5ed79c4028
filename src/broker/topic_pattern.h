/* broker, inside: regular expressions that name topics, in the language of RE2 as Kafka's coordinator takes it.
 *
 * A pattern matches whole names. What RE2 refuses is refused, with its place: look-around, back references, possessive
 * quantifiers, a quantifier behind a quantifier, counts above 1000. Of what RE2 knows, Unicode classes (\p) and
 * characters outside ASCII are refused too: a topic's name has none. Matching takes time in proportion to name and
 * pattern, whatever they are. Source: github.com/google/re2/wiki/Syntax. */
#ifndef WEIR_BROKER_TOPIC_PATTERN_H
#define WEIR_BROKER_TOPIC_PATTERN_H

#include "base/bytes.h"
#include "base/memory.h"
#include "base/status.h"

typedef struct topic_pattern topic_pattern;

/* INVALID names the place and what is wrong there. */
weir_status topic_pattern_parse(weir_account *account, weir_bytes source, topic_pattern **pattern) WEIR_MUST_USE;
bool topic_pattern_matches(const topic_pattern *pattern, weir_bytes name);
void topic_pattern_free(weir_account *account, topic_pattern *pattern); /* NULL is fine */

#endif
