/* Regular expressions of topics: parsed into a tree, the tree into a program, the program run by all its threads at
 * once, byte by byte, so that no pattern is slow. Greedy or lazy makes no difference where whole names match. */
#include "broker/topic_pattern.h"

#include <string.h>

enum {
    DEPTH_MAX = 100,
    NODES_MAX = 4096,
    PROGRAM_MAX = 20000,
    REPEAT_MAX = 1000, /* RE2's */
    UNBOUNDED = -1
};

typedef struct byte_set {
    uint64_t bits[4];
} byte_set;

typedef enum node_kind { NODE_EMPTY, NODE_SET, NODE_BOTH, NODE_EITHER, NODE_REPEAT, NODE_ASSERT } node_kind;
typedef enum assert_kind { ASSERT_BEGIN, ASSERT_END, ASSERT_WORD, ASSERT_NO_WORD } assert_kind;

typedef struct node {
    node_kind kind;
    assert_kind assertion;
    int left, right; /* indexes of nodes; a repeat has only `left` */
    int least, most;
    byte_set set;
} node;

typedef enum op { OP_SET, OP_SPLIT, OP_JUMP, OP_ASSERT, OP_MATCH } op;

typedef struct instruction {
    op code;
    assert_kind assertion;
    uint32_t set;   /* index of a node's set */
    uint32_t x, y;  /* where to go */
} instruction;

struct topic_pattern {
    instruction *program;
    size_t count, capacity;
    byte_set *sets;
    uint32_t set_count;
};

typedef struct parser {
    weir_account *account;
    weir_bytes source;
    size_t at;
    int depth;
    bool fold, dot_all; /* (?i), (?s) */
    node *nodes;
    int count;
    const char *wrong;
    topic_pattern *pattern;
} parser;

/* ---- sets of bytes ----------------------------------------------------------------------------------------------- */

static void set_add(byte_set *set, int byte) { set->bits[byte >> 6] |= UINT64_C(1) << (byte & 63); }
static bool set_has(const byte_set *set, int byte) { return (set->bits[byte >> 6] >> (byte & 63)) & 1; }
static void set_range(byte_set *set, int low, int high) {
    for (int byte = low; byte <= high; byte++) set_add(set, byte);
}
static void set_invert(byte_set *set) {
    for (int i = 0; i < 4; i++) set->bits[i] = ~set->bits[i];
}
static void set_join(byte_set *set, const byte_set *other) {
    for (int i = 0; i < 4; i++) set->bits[i] |= other->bits[i];
}
static void set_fold(byte_set *set) {
    for (int c = 'a'; c <= 'z'; c++) {
        const int upper = c - 'a' + 'A';
        if (set_has(set, c)) set_add(set, upper);
        else if (set_has(set, upper)) set_add(set, c);
    }
}

static bool is_word(int byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '_';
}

/* The sets of \d, \s, \w; upper case means the others. */
static bool perl_set(int letter, byte_set *set) {
    *set = (byte_set){0};
    switch (letter | 0x20) {
    case 'd': set_range(set, '0', '9'); break;
    case 's':
        set_add(set, ' ');
        set_add(set, '\t');
        set_add(set, '\n');
        set_add(set, '\f');
        set_add(set, '\r');
        break;
    case 'w':
        for (int c = 0; c < 128; c++) {
            if (is_word(c)) set_add(set, c);
        }
        break;
    default: return false;
    }
    if (letter < 'a') set_invert(set);
    return true;
}

static bool posix_set(weir_bytes name, byte_set *set) {
    static const struct {
        const char *name;
        const char *ranges; /* pairs of first and last */
    } classes[] = {{"alnum", "09AZaz"}, {"alpha", "AZaz"},     {"ascii", "\x01\x7f"}, {"blank", "\t\t  "},
                   {"cntrl", "\x01\x1f\x7f\x7f"}, {"digit", "09"}, {"graph", "!~"},  {"lower", "az"},
                   {"print", " ~"},    {"punct", "!/:@[`{~"},  {"space", "\t\r  "}, {"upper", "AZ"},
                   {"word", "09AZaz__"}, {"xdigit", "09AFaf"}};
    const bool negated = name.size && name.data[0] == '^';
    if (negated) name = weir_bytes_of(name.data + 1, name.size - 1);
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (!weir_bytes_equal_text(name, classes[i].name)) continue;
        byte_set found = {0};
        for (const char *pair = classes[i].ranges; *pair; pair += 2) set_range(&found, pair[0], pair[1]);
        if (negated) set_invert(&found);
        set_join(set, &found);
        return true;
    }
    return false;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static int peek(const parser *p, size_t ahead) {
    return p->at + ahead < p->source.size ? p->source.data[p->at + ahead] : -1;
}

static bool take_text(parser *p, const char *text) {
    const size_t size = strlen(text);
    if (p->source.size - p->at < size || memcmp(p->source.data + p->at, text, size) != 0) return false;
    p->at += size;
    return true;
}

static int fail(parser *p, const char *wrong) {
    if (!p->wrong) p->wrong = wrong;
    return 0;
}

static int node_add(parser *p, node_kind kind, int left, int right) {
    if (p->count == NODES_MAX) return fail(p, "the expression is too long");
    p->nodes[p->count] = (node){.kind = kind, .left = left, .right = right};
    return p->count++;
}

static int node_set(parser *p, const byte_set *set) {
    const int index = node_add(p, NODE_SET, 0, 0);
    p->nodes[index].set = *set;
    if (p->fold) set_fold(&p->nodes[index].set);
    return index;
}

static int node_byte(parser *p, int byte) {
    byte_set set = {0};
    set_add(&set, byte);
    return node_set(p, &set);
}

static int node_assert(parser *p, assert_kind assertion) {
    const int index = node_add(p, NODE_ASSERT, 0, 0);
    p->nodes[index].assertion = assertion;
    return index;
}

static int hex_digit(int c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind a backslash: a byte, or -1 (with p->wrong set when it is no escape at all). */
static int escaped_byte(parser *p) {
    const int c = peek(p, 0);
    static const char names[] = "afnrtv", bytes[] = "\a\f\n\r\t\v";
    if (c < 0) return fail(p, "a backslash at the end") - 1;
    if (c < 128 && !is_word(c)) {
        p->at++;
        return c;
    }
    const char *simple = strchr(names, c);
    if (simple && c) {
        p->at++;
        return bytes[simple - names];
    }
    if (c == 'x') {
        const bool braces = peek(p, 1) == '{';
        size_t at = braces ? 2 : 1;
        int value = 0, digits = 0;
        for (int digit; digits < (braces ? 8 : 2) && (digit = hex_digit(peek(p, at))) >= 0; at++, digits++)
            value = value > 0xff ? value : value * 16 + digit;
        if (digits == 0 || (!braces && digits != 2) || (braces && peek(p, at++) != '}'))
            return fail(p, "\\x needs hexadecimal digits") - 1;
        p->at += at;
        return value < 128 ? value : fail(p, "topics have ASCII names") - 1;
    }
    if (c >= '1' && c <= '9') return fail(p, "RE2 has no back references") - 1;
    if (c == '0') { /* octal */
        int value = 0;
        p->at++;
        for (int digits = 0; digits < 2 && peek(p, 0) >= '0' && peek(p, 0) <= '7'; digits++, p->at++)
            value = value * 8 + peek(p, 0) - '0';
        return value;
    }
    return fail(p, c == 'p' || c == 'P' ? "Unicode classes are not supported: topics have ASCII names"
                                        : "RE2 has no such escape") -
           1;
}

/* ---- classes ----------------------------------------------------------------------------------------------------- */

/* One end of a range in a class, -1 on failure. */
static int class_byte(parser *p) {
    if (take_text(p, "\\")) return escaped_byte(p);
    const int c = peek(p, 0);
    if (c < 0) return fail(p, "a class without its ]") - 1;
    if (c >= 128) return fail(p, "topics have ASCII names") - 1;
    p->at++;
    return c;
}

static bool class_posix(parser *p, byte_set *set) {
    const size_t begin = p->at + 2;
    for (size_t end = begin; end + 1 < p->source.size; end++) {
        if (p->source.data[end] != ':' || p->source.data[end + 1] != ']') continue;
        if (!posix_set(weir_bytes_of(p->source.data + begin, end - begin), set)) fail(p, "RE2 has no such class");
        p->at = end + 2;
        return true;
    }
    return false;
}

static void class_item(parser *p, byte_set *set) {
    byte_set perl;
    if (peek(p, 0) == '[' && peek(p, 1) == ':' && class_posix(p, set)) return;
    if (peek(p, 0) == '\\' && peek(p, 1) > 0 && perl_set(peek(p, 1), &perl)) {
        set_join(set, &perl);
        p->at += 2;
        return;
    }
    const int low = class_byte(p);
    if (low < 0) return;
    int high = low;
    if (peek(p, 0) == '-' && peek(p, 1) >= 0 && peek(p, 1) != ']') {
        p->at++;
        high = class_byte(p);
        if (high < 0) return;
        if (high < low) {
            fail(p, "a range that ends before it begins");
            return;
        }
    }
    set_range(set, low, high);
}

static int parse_class(parser *p) {
    byte_set set = {0};
    const bool negated = take_text(p, "^");
    bool first = true;
    for (; !p->wrong && (first || peek(p, 0) != ']'); first = false) {
        if (peek(p, 0) < 0) return fail(p, "a class without its ]");
        class_item(p, &set);
    }
    p->at++;
    if (p->fold) set_fold(&set);
    if (negated) set_invert(&set);
    const bool fold = p->fold;
    p->fold = false; /* what was inverted is not folded once more */
    const int index = node_set(p, &set);
    p->fold = fold;
    return index;
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

static int parse_either(parser *p);

static int parse_inside(parser *p) {
    if (++p->depth > DEPTH_MAX) return fail(p, "groups are nested too deeply");
    const bool fold = p->fold, dot_all = p->dot_all;
    const int inside = parse_either(p);
    p->fold = fold;
    p->dot_all = dot_all;
    p->depth--;
    if (!p->wrong && !take_text(p, ")")) return fail(p, "a group without its )");
    return inside;
}

/* Flags up to ':' or ')'; those that no whole name can tell apart (m, U) are taken. */
static int parse_flags(parser *p) {
    bool on = true, fold = p->fold, dot_all = p->dot_all;
    for (;; p->at++) {
        switch (peek(p, 0)) {
        case '-':
            if (!on) return fail(p, "flags are not valid");
            on = false;
            break;
        case 'i': fold = on; break;
        case 's': dot_all = on; break;
        case 'U': break;
        case 'm':
            if (on) return fail(p, "(?m) is not supported: a topic's name is one line");
            break;
        case ')':
            p->at++;
            p->fold = fold;
            p->dot_all = dot_all;
            return node_add(p, NODE_EMPTY, 0, 0);
        case ':': {
            const bool old_fold = p->fold, old_dot_all = p->dot_all;
            p->at++;
            p->fold = fold;
            p->dot_all = dot_all;
            const int inside = parse_inside(p);
            p->fold = old_fold;
            p->dot_all = old_dot_all;
            return inside;
        }
        default: return fail(p, "RE2 has no such group");
        }
    }
}

static int parse_group(parser *p) {
    if (!take_text(p, "?")) return parse_inside(p);
    if (take_text(p, "P<") || (peek(p, 0) == '<' && peek(p, 1) != '=' && peek(p, 1) != '!' && take_text(p, "<"))) {
        const size_t begin = p->at;
        while (is_word(peek(p, 0))) p->at++;
        if (p->at == begin || !take_text(p, ">")) return fail(p, "the name of a group is not valid");
        return parse_inside(p);
    }
    return parse_flags(p);
}

/* ---- the expression ---------------------------------------------------------------------------------------------- */

static int parse_literal_run(parser *p) { /* \Q...\E */
    int whole = node_add(p, NODE_EMPTY, 0, 0);
    while (!p->wrong && p->at < p->source.size && !take_text(p, "\\E")) {
        const int c = peek(p, 0);
        if (c >= 128) return fail(p, "topics have ASCII names");
        p->at++;
        const int one = node_byte(p, c);
        whole = node_add(p, NODE_BOTH, whole, one);
    }
    return whole;
}

static int parse_escape(parser *p) {
    byte_set set;
    const int c = peek(p, 0);
    if (c > 0 && perl_set(c, &set)) {
        p->at++;
        return node_set(p, &set);
    }
    if (take_text(p, "Q")) return parse_literal_run(p);
    if (take_text(p, "A")) return node_assert(p, ASSERT_BEGIN);
    if (take_text(p, "z")) return node_assert(p, ASSERT_END);
    if (take_text(p, "b")) return node_assert(p, ASSERT_WORD);
    if (take_text(p, "B")) return node_assert(p, ASSERT_NO_WORD);
    const int byte = escaped_byte(p);
    return byte < 0 ? 0 : node_byte(p, byte);
}

static int parse_atom(parser *p) {
    const int c = peek(p, 0);
    if (c >= 128) return fail(p, "topics have ASCII names");
    p->at++;
    switch (c) {
    case '(': return parse_group(p);
    case '[': return parse_class(p);
    case '\\': return parse_escape(p);
    case '^': return node_assert(p, ASSERT_BEGIN);
    case '$': return node_assert(p, ASSERT_END);
    case '*':
    case '+':
    case '?': return fail(p, "nothing to repeat");
    case '.': {
        byte_set set = {0};
        if (!p->dot_all) set_add(&set, '\n');
        set_invert(&set);
        return node_set(p, &set);
    }
    default: return node_byte(p, c);
    }
}

static int parse_number(parser *p) {
    if (peek(p, 0) < '0' || peek(p, 0) > '9') return -1;
    int value = 0;
    for (; peek(p, 0) >= '0' && peek(p, 0) <= '9'; p->at++)
        if (value <= REPEAT_MAX) value = value * 10 + peek(p, 0) - '0';
    return value;
}

/* {n}, {n,} or {n,m}; anything else is a brace like any other character. */
static bool parse_counts(parser *p, int *least, int *most) {
    const size_t begin = p->at;
    if (!take_text(p, "{")) return false;
    *least = parse_number(p);
    *most = *least;
    if (*least >= 0 && take_text(p, ",")) {
        *most = parse_number(p);
        if (*most < 0) *most = UNBOUNDED;
    }
    if (*least >= 0 && take_text(p, "}")) return true;
    p->at = begin;
    return false;
}

static bool parse_quantifier(parser *p, int *least, int *most) {
    *most = UNBOUNDED;
    if (take_text(p, "*")) *least = 0;
    else if (take_text(p, "+")) *least = 1;
    else if (take_text(p, "?")) {
        *least = 0;
        *most = 1;
    } else return parse_counts(p, least, most);
    return true;
}

static int parse_repeat(parser *p) {
    int atom = parse_atom(p);
    int least, most;
    if (p->wrong || !parse_quantifier(p, &least, &most)) return atom;
    if (least > REPEAT_MAX || most > REPEAT_MAX || (most != UNBOUNDED && most < least))
        return fail(p, "the counts of a repetition are not valid");
    take_text(p, "?"); /* lazy */
    const int c = peek(p, 0);
    int more, less;
    if (c == '*' || c == '+' || c == '?' || parse_counts(p, &less, &more))
        return fail(p, "a repetition of a repetition");
    const int index = node_add(p, NODE_REPEAT, atom, 0);
    p->nodes[index].least = least;
    p->nodes[index].most = most;
    return index;
}

static int parse_both(parser *p) {
    int whole = node_add(p, NODE_EMPTY, 0, 0);
    while (!p->wrong && peek(p, 0) >= 0 && peek(p, 0) != '|' && peek(p, 0) != ')') {
        const int next = parse_repeat(p);
        whole = node_add(p, NODE_BOTH, whole, next);
    }
    return whole;
}

static int parse_either(parser *p) {
    int whole = parse_both(p);
    while (!p->wrong && take_text(p, "|")) {
        const int next = parse_both(p);
        whole = node_add(p, NODE_EITHER, whole, next);
    }
    return whole;
}

/* ---- the program ------------------------------------------------------------------------------------------------- */

static uint32_t emit(parser *p, op code) {
    topic_pattern *pattern = p->pattern;
    if (pattern->count == PROGRAM_MAX) {
        fail(p, "the expression is too large");
        return 0;
    }
    if (pattern->count == pattern->capacity) {
        pattern->capacity = pattern->capacity ? pattern->capacity * 2 : 64;
        pattern->program =
            weir_realloc(p->account, pattern->program, sizeof *pattern->program * pattern->capacity);
    }
    pattern->program[pattern->count] = (instruction){.code = code};
    return (uint32_t)pattern->count++;
}

static uint32_t here(const parser *p) { return (uint32_t)p->pattern->count; }
static instruction *at(const parser *p, uint32_t index) { return &p->pattern->program[index]; }

static void emit_node(parser *p, int index);

static void emit_repeat(parser *p, const node *repeat) {
    for (int i = 0; i < repeat->least && !p->wrong; i++) emit_node(p, repeat->left);
    if (repeat->most == UNBOUNDED) {
        const uint32_t split = emit(p, OP_SPLIT);
        emit_node(p, repeat->left);
        const uint32_t jump = emit(p, OP_JUMP);
        at(p, jump)->x = split;
        at(p, split)->x = split + 1;
        at(p, split)->y = here(p);
        return;
    }
    for (int i = repeat->least; i < repeat->most && !p->wrong; i++) { /* each of the rest may be missing */
        const uint32_t split = emit(p, OP_SPLIT);
        emit_node(p, repeat->left);
        at(p, split)->x = split + 1;
        at(p, split)->y = here(p);
    }
}

static void emit_node(parser *p, int index) {
    const node *n = &p->nodes[index];
    if (p->wrong) return;
    switch (n->kind) {
    case NODE_EMPTY: { /* an instruction all the same: nothing, repeated, must come to an end too */
        const uint32_t jump = emit(p, OP_JUMP);
        at(p, jump)->x = jump + 1;
        return;
    }
    case NODE_SET: at(p, emit(p, OP_SET))->set = (uint32_t)index; return;
    case NODE_ASSERT: at(p, emit(p, OP_ASSERT))->assertion = n->assertion; return;
    case NODE_BOTH:
        emit_node(p, n->left);
        emit_node(p, n->right);
        return;
    case NODE_EITHER: {
        const uint32_t split = emit(p, OP_SPLIT);
        emit_node(p, n->left);
        const uint32_t jump = emit(p, OP_JUMP);
        at(p, split)->x = split + 1;
        at(p, split)->y = here(p);
        emit_node(p, n->right);
        at(p, jump)->x = here(p);
        return;
    }
    case NODE_REPEAT: emit_repeat(p, n); return;
    }
}

weir_status topic_pattern_parse(weir_account *account, weir_bytes source, topic_pattern **result) {
    parser p = {.account = account, .source = source};
    p.nodes = weir_alloc(account, sizeof *p.nodes * NODES_MAX);
    p.pattern = weir_alloc(account, sizeof *p.pattern);
    node_add(&p, NODE_EMPTY, 0, 0); /* what fail() answers */
    const int whole = parse_either(&p);
    if (!p.wrong && p.at < p.source.size) fail(&p, "a ) without its group");
    const size_t place = p.at;
    emit(&p, OP_JUMP); /* never empty, so that at() has something to point to */
    if (!p.wrong) at(&p, 0)->x = 1;
    emit_node(&p, whole);
    emit(&p, OP_MATCH);
    if (p.wrong) {
        weir_free(account, p.nodes);
        topic_pattern_free(account, p.pattern);
        return weir_fail(WEIR_INVALID, "the regular expression is not valid at byte %zu: %s", place, p.wrong);
    }
    p.pattern->set_count = (uint32_t)p.count;
    p.pattern->sets = weir_alloc(account, sizeof *p.pattern->sets * (size_t)p.count);
    for (int i = 0; i < p.count; i++) p.pattern->sets[i] = p.nodes[i].set;
    weir_free(account, p.nodes);
    *result = p.pattern;
    return weir_ok();
}

void topic_pattern_free(weir_account *account, topic_pattern *pattern) {
    if (!pattern) return;
    weir_free(account, pattern->program);
    weir_free(account, pattern->sets);
    weir_free(account, pattern);
}

/* ---- matching ---------------------------------------------------------------------------------------------------- */

typedef struct threads {
    uint16_t list[PROGRAM_MAX];
    size_t count;
    uint8_t seen[PROGRAM_MAX / 8 + 1];
} threads;

static bool holds(assert_kind assertion, weir_bytes name, size_t place) {
    const bool before = place > 0 && is_word(name.data[place - 1]);
    const bool after = place < name.size && is_word(name.data[place]);
    switch (assertion) {
    case ASSERT_BEGIN: return place == 0;
    case ASSERT_END: return place == name.size;
    case ASSERT_WORD: return before != after;
    default: return before == after;
    }
}

typedef struct walk {
    uint16_t stack[PROGRAM_MAX];
    size_t depth;
    threads *now;
} walk;

/* Each instruction once, so that the stack is never deeper than the program is long. */
static void walk_push(walk *self, uint32_t index) {
    uint8_t *seen = &self->now->seen[index / 8];
    if (*seen >> (index % 8) & 1) return;
    *seen = (uint8_t)(*seen | 1 << (index % 8));
    self->stack[self->depth++] = (uint16_t)index;
}

/* All that can be reached without taking a byte. */
static void follow(const topic_pattern *pattern, threads *now, uint32_t start, weir_bytes name, size_t place) {
    walk self;
    self.depth = 0;
    self.now = now;
    walk_push(&self, start);
    while (self.depth > 0) {
        const uint16_t index = self.stack[--self.depth];
        const instruction *step = &pattern->program[index];
        switch (step->code) {
        case OP_JUMP: walk_push(&self, step->x); break;
        case OP_SPLIT:
            walk_push(&self, step->x);
            walk_push(&self, step->y);
            break;
        case OP_ASSERT:
            if (holds(step->assertion, name, place)) walk_push(&self, index + 1u);
            break;
        default: now->list[now->count++] = index; break;
        }
    }
}

static void threads_clear(threads *self, size_t program_count) {
    self->count = 0;
    memset(self->seen, 0, program_count / 8 + 1);
}

bool topic_pattern_matches(const topic_pattern *pattern, weir_bytes name) {
    threads both[2];
    threads *now = &both[0], *next = &both[1];
    threads_clear(now, pattern->count);
    follow(pattern, now, 0, name, 0);
    for (size_t place = 0; place < name.size && now->count > 0; place++) {
        threads_clear(next, pattern->count);
        for (size_t i = 0; i < now->count; i++) {
            const instruction *step = &pattern->program[now->list[i]];
            if (step->code == OP_SET && set_has(&pattern->sets[step->set], name.data[place]))
                follow(pattern, next, now->list[i] + 1u, name, place + 1);
        }
        threads *swap = next;
        next = now;
        now = swap;
    }
    for (size_t i = 0; i < now->count; i++) {
        if (pattern->program[now->list[i]].code == OP_MATCH) return true;
    }
    return false;
}
