/* The grammar of the dialect. Actions only call constructors (build.c); what it recognises and weir does not run is
 * refused by sql_unsupported(). lemon generates grammar.c and grammar.h of it at build time. */
%name sql_grammar
%token_prefix SQL_T_
%token_type {sql_token}
%extra_context {sql_parser *p}
%stack_size 4000
%include {
#include "sql/parse/grammar.h"
#include "sql/parse/parse_int.h"

/* Growing lists of the tree; the arrays double in the arena. */
typedef struct item_list { const sql_item *items; uint32_t count; } item_list;
typedef struct column_list { const sql_column *items; uint32_t count; } column_list;
typedef struct property_list { const sql_property *items; uint32_t count; } property_list;
typedef struct name_list { const sql_name *items; uint32_t count; } name_list;
typedef struct field_list { const sql_field *items; uint32_t count; uint32_t depth; } field_list;
typedef struct struct_list { sql_exprs values; name_list names; } struct_list;
typedef struct head { bool is_table, or_replace, is_source, if_exists; sql_name name; } head;

#define LIST_ADD(p, list, type, item) \
    do { \
        type *grown = sql_grow((p), (list).items, (list).count, sizeof(type)); \
        if (grown != NULL) { grown[(list).count++] = (item); (list).items = grown; } \
    } while (0)
#define NO_TOKEN ((sql_token){0, 0, 0})
}
%syntax_error { (void)yymajor; (void)TOKEN; sql_syntax_error(p); }
%stack_overflow { sql_fail(p, WEIR_INVALID, p->token.offset, "statement nested more than %d levels deep", SQL_DEPTH_MAX); }

/* Words that are keywords only where the grammar asks for them. What may stand both as a
 * name and as the beginning of a clause or constructor (EMIT, PARTITION, ARRAY, MAP, STRUCT) is told apart by the driver. */
%fallback ID ADVANCE ARRAY BEGINNING CHANGES CONNECTOR CONNECTORS DELETE ESCAPE EXPLAIN EXTENDED FINAL FUNCTION FUNCTIONS
             GRACE HEADER HEADERS HOPPING IF INTERVAL KEY LIST MAP PERIOD PRIMARY PRINT PROPERTIES QUERIES REPLACE
             RETENTION SAMPLE SESSION SET SHOW SIZE SOURCE STREAMS STRUCT TABLES TERMINATE TOPIC TOPICS TUMBLING UNSET.

%type name {sql_name}
%type word {sql_token}
%type expr {const sql_expr *}
%type value {const sql_expr *}
%type primary {const sql_expr *}
%type argument {const sql_expr *}
%type otherwise {const sql_expr *}
%type exprs {sql_exprs}
%type arguments {sql_exprs}
%type arms {sql_exprs}
%type pairs {sql_exprs}
%type members {struct_list}
%type types {int}
%type type {const sql_type *}
%type fields {field_list}
%type query {sql_query *}
%type items {item_list}
%type item {sql_item}
%type columns {column_list}
%type column {sql_column}
%type column_list {column_list}
%type constraint {sql_constraint}
%type properties {property_list}
%type with {property_list}
%type property {sql_property}
%type property_name {sql_name}
%type names {name_list}
%type name_list {name_list}
%type create {head}
%type make {head}
%type kind {int}
%type if_not_exists {int}
%type if_exists {int}
%type extended {int}
%type delete_topic {int}
%type beginning {int}
%type subject {int}
%type interval {int64_t}
%type limit {int64_t}
%type statement {sql_statement *}
%type negated {int}
%type duration {int64_t}

%start_symbol input
/* The parser is fed a terminator also where the text has none, so that what follows a statement is always an error. */
input ::= statement(S) SEMI. { p->statement = S; }

/* ---- statements ---- */
statement(S) ::= create(H) with(W). {
    S = sql_build_statement(p, SQL_CREATE_SOURCE);
    S->is_table = H.is_table; S->or_replace = H.or_replace; S->is_source = H.is_source; S->if_exists = H.if_exists;
    S->name = H.name; S->properties = W.items; S->property_count = W.count;
}
statement(S) ::= create(H) LP column_list(C) RP with(W). {
    S = sql_build_statement(p, SQL_CREATE_SOURCE);
    S->is_table = H.is_table; S->or_replace = H.or_replace; S->is_source = H.is_source; S->if_exists = H.if_exists;
    S->name = H.name; S->properties = W.items; S->property_count = W.count;
    S->columns = C.items; S->column_count = C.count; S->has_columns = true;
}
statement(S) ::= create(H) with(W) AS query(Q). {
    S = sql_build_statement(p, SQL_CREATE_AS);
    if (H.is_source) sql_fail(p, WEIR_INVALID, H.name.offset, "a SOURCE stream or table is read only: it cannot be made AS SELECT");
    S->is_table = H.is_table; S->or_replace = H.or_replace; S->if_exists = H.if_exists;
    S->name = H.name; S->properties = W.items; S->property_count = W.count; S->query = Q;
}
create(H) ::= make(M) kind(K) if_not_exists(I) name(N). {
    H = M;
    H.is_table = K; H.if_exists = I; H.name = N;
    sql_place(p, K ? "the table's name" : "the stream's name");
}
make(H) ::= CREATE. { H = (head){0}; }
make(H) ::= CREATE SOURCE. { H = (head){.is_source = true}; }
make(H) ::= CREATE OR REPLACE. { H = (head){.or_replace = true}; }
make(H) ::= CREATE OR REPLACE SOURCE. { H = (head){.or_replace = true, .is_source = true}; }
kind(R) ::= STREAM. { R = false; }
kind(R) ::= TABLE. { R = true; }
if_not_exists(R) ::= . { R = false; }
if_not_exists(R) ::= IF NOT EXISTS. { R = true; }
if_exists(R) ::= . { R = false; }
if_exists(R) ::= IF EXISTS. { R = true; }
extended(R) ::= . { R = false; }
extended(R) ::= EXTENDED. { R = true; }

statement(S) ::= CREATE SOURCE CONNECTOR if_not_exists(I) name(N) with(W). {
    S = sql_build_statement(p, SQL_CREATE_CONNECTOR);
    S->if_exists = I; S->name = N; S->properties = W.items; S->property_count = W.count;
}
statement(S) ::= DROP kind(K) if_exists(I) name(N) delete_topic(D). {
    S = sql_build_statement(p, SQL_DROP);
    S->is_table = K; S->if_exists = I; S->name = N; S->delete_topic = D;
}
delete_topic(R) ::= . { R = false; }
delete_topic(R) ::= DELETE TOPIC. { R = true; }
statement(S) ::= DROP CONNECTOR if_exists(I) name(N). {
    S = sql_build_statement(p, SQL_DROP_CONNECTOR);
    S->if_exists = I; S->name = N;
}
statement(S) ::= TERMINATE name(N). { S = sql_build_statement(p, SQL_TERMINATE); S->name = N; }
statement(S) ::= TERMINATE ALL. { S = sql_build_statement(p, SQL_TERMINATE); }
statement(S) ::= INSERT INTO name(N) with(W) query(Q). {
    S = sql_build_statement(p, SQL_INSERT_SELECT);
    S->name = N; S->properties = W.items; S->property_count = W.count; S->query = Q;
}
statement(S) ::= INSERT INTO name(N) VALUES(T) LP exprs(V) RP. {
    S = sql_build_statement(p, SQL_INSERT_VALUES);
    S->name = N; S->values = V; S->values.offset = T.offset;
}
statement(S) ::= INSERT INTO name(N) LP name_list(C) RP VALUES(T) LP exprs(V) RP. {
    S = sql_build_statement(p, SQL_INSERT_VALUES);
    S->name = N; S->names = C.items; S->name_count = C.count; S->values = V; S->values.offset = T.offset;
}
statement(S) ::= query(Q). { S = sql_build_statement(p, SQL_SELECT); S->query = Q; }
statement(S) ::= show subject(K) extended(E). { S = sql_build_statement(p, SQL_SHOW); S->subject = K; S->extended = E; }
show ::= SHOW.
show ::= LIST.
subject(R) ::= STREAMS. { R = SQL_STREAMS; }
subject(R) ::= TABLES. { R = SQL_TABLES; }
subject(R) ::= TOPICS. { R = SQL_TOPICS; }
subject(R) ::= ALL TOPICS. { R = SQL_TOPICS; }
subject(R) ::= QUERIES. { R = SQL_QUERIES; }
subject(R) ::= CONNECTORS. { R = SQL_CONNECTORS; }
subject(R) ::= SOURCE CONNECTORS. { R = SQL_CONNECTORS; }
subject(R) ::= FUNCTIONS. { R = SQL_FUNCTIONS; }
subject(R) ::= PROPERTIES. { R = SQL_PROPERTIES; }
statement(S) ::= DESCRIBE name(N) extended(E). { S = sql_build_statement(p, SQL_DESCRIBE); S->name = N; S->extended = E; }
statement(S) ::= DESCRIBE FUNCTION name(N). { S = sql_build_statement(p, SQL_DESCRIBE_FUNCTION); S->name = N; }
statement(S) ::= DESCRIBE CONNECTOR name(N). { S = sql_build_statement(p, SQL_DESCRIBE_CONNECTOR); S->name = N; }
statement(S) ::= EXPLAIN name(N). { S = sql_build_statement(p, SQL_EXPLAIN); S->name = N; }
statement(S) ::= EXPLAIN statement(I). { S = sql_build_statement(p, SQL_EXPLAIN); S->inner = I; }
statement(S) ::= SET STRING(K) EQ STRING(V). {
    S = sql_build_statement(p, SQL_SET);
    property_list list = {0};
    LIST_ADD(p, list, sql_property, ((sql_property){{(const char *)sql_build_string(p, K).data, K.offset, K.size},
                                     (const char *)sql_build_string(p, V).data, true, V.offset, V.size}));
    S->properties = list.items; S->property_count = list.count;
}
statement(S) ::= UNSET STRING(K). {
    S = sql_build_statement(p, SQL_UNSET);
    property_list list = {0};
    LIST_ADD(p, list, sql_property, ((sql_property){{(const char *)sql_build_string(p, K).data, K.offset, K.size}, NULL, false, 0, 0}));
    S->properties = list.items; S->property_count = list.count;
}
statement(S) ::= PRINT word(T) beginning(B) interval(I) limit(L). {
    S = sql_build_statement(p, SQL_PRINT);
    S->name = sql_build_raw_name(p, T); S->from_beginning = B; S->interval = I; S->limit = L;
}
beginning(R) ::= . { R = false; }
beginning(R) ::= FROM BEGINNING. { R = true; }
interval(R) ::= . { R = -1; }
interval(R) ::= INTERVAL INTEGER(N). { R = sql_build_i64(p, N); }
interval(R) ::= SAMPLE INTEGER(N). { R = sql_build_i64(p, N); }
limit(R) ::= . { R = -1; }
limit(R) ::= LIMIT INTEGER(N). { R = sql_build_i64(p, N); sql_place(p, "LIMIT"); }

/* ---- columns, properties ---- */
column_list(R) ::= . { R = (column_list){0}; }
column_list(R) ::= columns(C). { R = C; }
columns(R) ::= column(C). { R = (column_list){0}; LIST_ADD(p, R, sql_column, C); }
columns(R) ::= columns(L) COMMA column(C). { R = L; LIST_ADD(p, R, sql_column, C); }
column(R) ::= name(N) type(T) constraint(K). { R = (sql_column){N, T, K}; sql_place(p, "the column"); }
constraint(R) ::= . { R = SQL_CONSTRAINT_NONE; }
constraint(R) ::= KEY. { R = SQL_CONSTRAINT_KEY; }
constraint(R) ::= PRIMARY KEY. { R = SQL_CONSTRAINT_PRIMARY_KEY; }
constraint(R) ::= HEADERS(T). { R = SQL_CONSTRAINT_NONE; sql_unsupported(p, T.offset, "a HEADERS column"); }
constraint(R) ::= HEADER(T) LP STRING RP. { R = SQL_CONSTRAINT_NONE; sql_unsupported(p, T.offset, "a HEADER column"); }
with(R) ::= . { R = (property_list){0}; }
with(R) ::= WITH LP RP. { R = (property_list){0}; }
with(R) ::= WITH LP properties(L) RP. { R = L; sql_place(p, "the WITH clause"); }
properties(R) ::= property(P). { R = (property_list){0}; LIST_ADD(p, R, sql_property, P); }
properties(R) ::= properties(L) COMMA property(P). { R = L; LIST_ADD(p, R, sql_property, P); }
property(R) ::= property_name(N) EQ primary(V). {
    R = (sql_property){.name = N, .value_offset = V->offset, .value_size = V->size};
    if (V->kind < SQL_BOOLEAN || V->kind > SQL_STRING)
        sql_fail(p, WEIR_INVALID, V->offset, "the value of property %s must be a literal", N.text);
    R.value = V->kind == SQL_BOOLEAN ? (V->negated ? "false" : "true") : (const char *)V->text.data;
    R.is_string = V->kind == SQL_STRING;
    sql_place(p, "the property");
}
property(R) ::= property_name(N) EQ MINUS primary(V). {
    R = (sql_property){.name = N, .value_offset = V->offset, .value_size = V->size};
    const sql_expr *negative = sql_build_negate(p, p->token, V);
    if (negative->kind == SQL_NEGATE) sql_fail(p, WEIR_INVALID, V->offset, "the value of property %s must be a literal", N.text);
    R.value = (const char *)negative->text.data;
}
property_name(R) ::= name(N). { R = N; }
property_name(R) ::= STRING(T). { R = (sql_name){(const char *)sql_build_string(p, T).data, T.offset, T.size}; }
name_list(R) ::= names(L). { R = L; }
names(R) ::= name(N). { R = (name_list){0}; LIST_ADD(p, R, sql_name, N); }
names(R) ::= names(L) COMMA name(N). { R = L; LIST_ADD(p, R, sql_name, N); }
name(R) ::= ID(T). { R = sql_build_name(p, T); }
name(R) ::= QUOTED(T). { R = sql_build_name(p, T); }
word(R) ::= ID(T). { R = T; }
word(R) ::= QUOTED(T). { R = T; }
word(R) ::= STRING(T). { R = T; }

/* ---- types ---- */
type(R) ::= name(N). { sql_type *t = sql_build_type(p, SQL_TYPE_NAMED, NULL, NULL); t->name = N; R = t; sql_place(p, "the type"); }
type(R) ::= name(N) LP INTEGER(A) RP. {
    sql_type *t = sql_build_type(p, SQL_TYPE_NAMED, NULL, NULL);
    t->name = N; t->arguments[0] = sql_build_i64(p, A); t->argument_count = 1; R = t; sql_place(p, "the type");
}
type(R) ::= name(N) LP INTEGER(A) COMMA INTEGER(B) RP. {
    sql_type *t = sql_build_type(p, SQL_TYPE_NAMED, NULL, NULL);
    t->name = N; t->arguments[0] = sql_build_i64(p, A); t->arguments[1] = sql_build_i64(p, B); t->argument_count = 2; R = t;
    sql_place(p, "the type");
}
type(R) ::= ARRAY LT type(E) GT. { R = sql_build_type(p, SQL_TYPE_ARRAY, NULL, E); sql_place(p, "the type"); }
type(R) ::= MAP LT type(K) COMMA type(E) GT. { R = sql_build_type(p, SQL_TYPE_MAP, K, E); sql_place(p, "the type"); }
type(R) ::= STRUCT NE. { R = sql_build_type(p, SQL_TYPE_STRUCT, NULL, NULL); }
type(R) ::= STRUCT LT fields(F) GT. {
    sql_type *t = sql_build_type(p, SQL_TYPE_STRUCT, NULL, NULL);
    t->fields = F.items; t->field_count = F.count; t->depth = F.depth + 1; R = t;
    if (t->depth > SQL_DEPTH_MAX) sql_fail(p, WEIR_INVALID, p->token.offset, "type nested more than %d levels deep", SQL_DEPTH_MAX);
    sql_place(p, "the type");
}
type(R) ::= type(E) ARRAY. { R = sql_build_type(p, SQL_TYPE_ARRAY, NULL, E); }
fields(R) ::= name(N) type(T). {
    R = (field_list){0};
    LIST_ADD(p, R, sql_field, ((sql_field){N, T}));
    R.depth = T->depth;
}
fields(R) ::= fields(L) COMMA name(N) type(T). {
    R = L;
    LIST_ADD(p, R, sql_field, ((sql_field){N, T}));
    if (T->depth > R.depth) R.depth = T->depth;
}

/* ---- queries ---- */
query(Q) ::= select items(I) from where group partition having emit limit(L). {
    Q = p->query;
    Q->items = I.items; Q->item_count = I.count; Q->limit = L;
    Q->size = sql_token_end(p->previous) - Q->offset;
}
select ::= SELECT(T). { sql_build_query(p, T); }
items(R) ::= item(I). { R = (item_list){0}; LIST_ADD(p, R, sql_item, I); sql_place(p, "the select item"); }
items(R) ::= items(L) COMMA item(I). { R = L; LIST_ADD(p, R, sql_item, I); sql_place(p, "the select item"); }
item(R) ::= MUL(T). { R = (sql_item){.offset = T.offset, .size = T.size}; }
item(R) ::= name(N) DOT MUL(T). {
    R = (sql_item){.qualifier = N, .offset = N.offset, .size = sql_token_end(T) - N.offset};
}
item(R) ::= primary(E) ARROW MUL(T). {
    R = (sql_item){.expr = E};
    sql_unsupported(p, T.offset, "struct->* in a select list");
}
item(R) ::= expr(E). { R = (sql_item){.expr = E, .offset = E->offset, .size = E->size}; }
item(R) ::= expr(E) name(N). { R = (sql_item){.expr = E, .alias = N, .offset = E->offset, .size = E->size}; }
item(R) ::= expr(E) AS name(N). { R = (sql_item){.expr = E, .alias = N, .offset = E->offset, .size = E->size}; }
from ::= FROM relation window.
relation ::= aliased(A). { p->query->source = p->relation; p->query->alias = p->relation_alias; (void)A; sql_place(p, "the source"); }
relation ::= relation join(J) aliased within ON expr. { sql_unsupported(p, J.offset, "JOIN"); }
%type aliased {int}
aliased(R) ::= name(N). { R = 0; p->relation = N; p->relation_alias = (sql_name){0}; }
aliased(R) ::= name(N) name(A). { R = 1; p->relation = N; p->relation_alias = A; }
aliased(R) ::= name(N) AS name(A). { R = 1; p->relation = N; p->relation_alias = A; }
%type join {sql_token}
join(R) ::= JOIN(T). { R = T; }
join(R) ::= INNER(T) JOIN. { R = T; }
join(R) ::= LEFT(T) outer JOIN. { R = T; }
join(R) ::= RIGHT(T) outer JOIN. { R = T; }
join(R) ::= FULL(T) outer JOIN. { R = T; }
outer ::= .
outer ::= OUTER.
within ::= .
within ::= WITHIN duration grace_within.
within ::= WITHIN LP duration COMMA duration RP grace_within.
grace_within ::= .
grace_within ::= GRACE PERIOD duration.
duration(R) ::= INTEGER(N) ID(U). { R = sql_build_duration(p, N, U); }
window ::= .
window ::= WINDOW window_kind.
window ::= WINDOW ID window_kind. /* a name, which nothing uses */
window_kind ::= TUMBLING(T) LP SIZE duration(S) window_options RP. {
    sql_window *w = &p->query->window;
    w->kind = SQL_WINDOW_TUMBLING; w->size_ms = w->advance_ms = S; w->offset = T.offset;
    sql_place(p, "the window");
}
window_kind ::= HOPPING(T) LP SIZE duration(S) COMMA ADVANCE BY duration(A) window_options RP. {
    sql_window *w = &p->query->window;
    w->kind = SQL_WINDOW_HOPPING; w->size_ms = S; w->advance_ms = A; w->offset = T.offset;
    sql_place(p, "the window");
}
window_kind ::= SESSION(T) LP duration window_options RP. { sql_unsupported(p, T.offset, "WINDOW SESSION"); }
window_options ::= .
window_options ::= COMMA retention.
window_options ::= COMMA grace.
window_options ::= COMMA retention COMMA grace.
retention ::= RETENTION duration(D). { p->query->window.retention_ms = D; }
grace ::= GRACE PERIOD duration(D). { p->query->window.grace_ms = D; }
where ::= .
where ::= WHERE expr(E). { p->query->where = E; sql_place(p, "the WHERE condition"); }
group ::= .
group ::= GROUP(T) BY exprs(L). { p->query->group_by = L; p->query->group_by.offset = T.offset; sql_place(p, "the GROUP BY list"); }
group ::= GROUP(T) BY LP expr(A) COMMA exprs(L) RP. {
    sql_exprs list = sql_exprs_add(p, (sql_exprs){0}, A);
    for (uint32_t i = 0; i < L.count; i++) list = sql_exprs_add(p, list, L.items[i]);
    list.offset = T.offset;
    p->query->group_by = list;
    sql_place(p, "the GROUP BY list");
}
partition ::= .
partition ::= PARTITION(T) BY exprs(L). {
    p->query->partition_by = L; p->query->partition_by.offset = T.offset; sql_place(p, "the PARTITION BY list");
}
having ::= .
having ::= HAVING expr(E). { p->query->having = E; sql_place(p, "the HAVING condition"); }
emit ::= .
emit ::= EMIT CHANGES. { p->query->emit_changes = true; sql_place(p, "EMIT CHANGES"); }
emit ::= EMIT FINAL(T). { sql_unsupported(p, T.offset, "EMIT FINAL"); }

/* ---- expressions ---- */
%left OR.
%left AND.
%right NOT.
%left CONCAT.
%left PLUS MINUS.
%left MUL SLASH PERCENT.
%right SIGN.
exprs(R) ::= expr(E). { R = sql_exprs_add(p, (sql_exprs){0}, E); }
exprs(R) ::= exprs(L) COMMA expr(E). { R = sql_exprs_add(p, L, E); }
expr(R) ::= value(V). { R = V; }
expr(R) ::= expr(A) OR expr(B). { R = sql_build_both(p, SQL_OR, A, B); }
expr(R) ::= expr(A) AND expr(B). { R = sql_build_both(p, SQL_AND, A, B); }
expr(R) ::= NOT(T) expr(A). {
    R = sql_build_items(p, SQL_NOT, T.offset, A->offset + A->size, sql_exprs_add(p, (sql_exprs){0}, A));
}
expr(R) ::= value(A) EQ value(B). { R = sql_build_binary(p, "=", A, B); }
expr(R) ::= value(A) NE value(B). { R = sql_build_binary(p, "<>", A, B); }
expr(R) ::= value(A) LT value(B). { R = sql_build_binary(p, "<", A, B); }
expr(R) ::= value(A) LE value(B). { R = sql_build_binary(p, "<=", A, B); }
expr(R) ::= value(A) GT value(B). { R = sql_build_binary(p, ">", A, B); }
expr(R) ::= value(A) GE value(B). { R = sql_build_binary(p, ">=", A, B); }
negated(R) ::= . { R = false; }
negated(R) ::= NOT. { R = true; }
expr(R) ::= value(A) IS negated(N) NULL(T). {
    sql_expr *e = sql_build_items(p, SQL_IS_NULL, A->offset, sql_token_end(T), sql_exprs_add(p, (sql_exprs){0}, A));
    e->negated = N; R = e;
}
expr(R) ::= value(A) IS negated(N) DISTINCT FROM value(B). {
    sql_exprs list = sql_exprs_add(p, sql_exprs_add(p, (sql_exprs){0}, A), B);
    sql_expr *e = sql_build_items(p, SQL_DISTINCT, A->offset, B->offset + B->size, list);
    e->negated = N; R = e;
}
expr(R) ::= value(A) negated(N) BETWEEN value(B) AND value(C). {
    sql_exprs list = sql_exprs_add(p, sql_exprs_add(p, sql_exprs_add(p, (sql_exprs){0}, A), B), C);
    sql_expr *e = sql_build_items(p, SQL_BETWEEN, A->offset, C->offset + C->size, list);
    e->negated = N; R = e;
}
expr(R) ::= value(A) negated(N) IN LP exprs(L) RP(T). {
    sql_exprs list = sql_exprs_add(p, (sql_exprs){0}, A);
    for (uint32_t i = 0; i < L.count; i++) list = sql_exprs_add(p, list, L.items[i]);
    sql_expr *e = sql_build_items(p, SQL_IN, A->offset, sql_token_end(T), list);
    e->negated = N; R = e;
}
expr(R) ::= value(A) negated(N) LIKE value(B). {
    sql_expr *e = sql_build_items(p, SQL_LIKE, A->offset, B->offset + B->size, sql_exprs_add(p, sql_exprs_add(p, (sql_exprs){0}, A), B));
    e->negated = N; R = e;
}
expr(R) ::= value(A) negated(N) LIKE value(B) ESCAPE STRING(T). {
    sql_expr *e = sql_build_items(p, SQL_LIKE, A->offset, sql_token_end(T), sql_exprs_add(p, sql_exprs_add(p, (sql_exprs){0}, A), B));
    e->negated = N; e->text = sql_build_string(p, T); R = e;
    if (e->text.size != 1)
        sql_fail(p, WEIR_INVALID, T.offset, "ESCAPE takes one character");
}
value(R) ::= primary(A). { R = A; }
value(R) ::= MINUS(T) value(A). [SIGN] { R = sql_build_negate(p, T, A); }
value(R) ::= PLUS value(A). [SIGN] { R = A; }
value(R) ::= value(A) PLUS value(B). { R = sql_build_binary(p, "+", A, B); }
value(R) ::= value(A) MINUS value(B). { R = sql_build_binary(p, "-", A, B); }
value(R) ::= value(A) MUL value(B). { R = sql_build_binary(p, "*", A, B); }
value(R) ::= value(A) SLASH value(B). { R = sql_build_binary(p, "/", A, B); }
value(R) ::= value(A) PERCENT value(B). { R = sql_build_binary(p, "%", A, B); }
value(R) ::= value(A) CONCAT value(B). { R = sql_build_binary(p, "||", A, B); }

primary(R) ::= NULL(T). { R = sql_build_literal(p, SQL_NULL, T); }
primary(R) ::= TRUE(T). { R = sql_build_literal(p, SQL_BOOLEAN, T); }
primary(R) ::= FALSE(T). { sql_expr *e = sql_build_literal(p, SQL_BOOLEAN, T); e->negated = true; R = e; }
primary(R) ::= INTEGER(T). { R = sql_build_literal(p, SQL_INTEGER, T); }
primary(R) ::= DECIMAL(T). { R = sql_build_literal(p, SQL_DECIMAL, T); }
primary(R) ::= DOUBLE(T). { R = sql_build_literal(p, SQL_DOUBLE, T); }
primary(R) ::= STRING(T). { R = sql_build_literal(p, SQL_STRING, T); }
primary(R) ::= name(N). {
    sql_expr *e = sql_build_expr(p, SQL_COLUMN, N.offset, N.offset + N.size);
    e->name = N; R = e;
}
primary(R) ::= name(Q) DOT name(N). {
    sql_expr *e = sql_build_expr(p, SQL_COLUMN, Q.offset, N.offset + N.size);
    e->qualifier = Q; e->name = N; R = e;
}
primary(R) ::= name(N) LP RP(T). {
    sql_expr *e = sql_build_expr(p, SQL_CALL, N.offset, sql_token_end(T));
    e->name = N; R = e;
}
primary(R) ::= name(N) LP MUL(M) RP(T). {
    const sql_expr *star = sql_build_expr(p, SQL_STAR, M.offset, sql_token_end(M));
    sql_expr *e = sql_build_items(p, SQL_CALL, N.offset, sql_token_end(T), sql_exprs_add(p, (sql_exprs){0}, star));
    e->name = N; R = e;
}
primary(R) ::= name(N) LP arguments(L) RP(T). {
    sql_expr *e = sql_build_items(p, SQL_CALL, N.offset, sql_token_end(T), L);
    e->name = N; R = e;
}
primary(R) ::= REPLACE(F) LP arguments(L) RP(T). {
    sql_expr *e = sql_build_items(p, SQL_CALL, F.offset, sql_token_end(T), L);
    e->name = sql_build_name(p, F); R = e;
}
arguments(R) ::= argument(E). { R = sql_exprs_add(p, (sql_exprs){0}, E); }
arguments(R) ::= arguments(L) COMMA argument(E). { R = sql_exprs_add(p, L, E); }
argument(R) ::= expr(E). { R = E; }
argument(R) ::= name LAMBDA(T) expr(E). { R = E; sql_unsupported(p, T.offset, "a lambda function"); }
argument(R) ::= LP name COMMA names RP LAMBDA(T) expr(E). { R = E; sql_unsupported(p, T.offset, "a lambda function"); }
primary(R) ::= LP(A) expr(E) RP(B). {
    sql_expr *e = sql_build_expr(p, E->kind, A.offset, sql_token_end(B));
    const uint32_t offset = e->offset, size = e->size;
    if (!p->failed) *e = *E;
    e->offset = offset; e->size = size; e->grouped = true; R = e;
    if (p->token.kind == SQL_T_LAMBDA) sql_unsupported(p, p->token.offset, "a lambda function");
}
primary(R) ::= CAST(A) LP expr(E) AS type(T) RP(B). {
    sql_expr *e = sql_build_items(p, SQL_CAST, A.offset, sql_token_end(B), sql_exprs_add(p, (sql_exprs){0}, E));
    e->type = T; R = e;
}
primary(R) ::= CASE(A) arms(L) otherwise(O) END(B). { R = sql_build_case(p, A.offset, sql_token_end(B), NULL, L, O); }
primary(R) ::= CASE(A) expr(E) arms(L) otherwise(O) END(B). { R = sql_build_case(p, A.offset, sql_token_end(B), E, L, O); }
arms(R) ::= WHEN expr(C) THEN expr(V). { R = sql_exprs_add(p, sql_exprs_add(p, (sql_exprs){0}, C), V); sql_place(p, "the CASE branch"); }
arms(R) ::= arms(L) WHEN expr(C) THEN expr(V). { R = sql_exprs_add(p, sql_exprs_add(p, L, C), V); sql_place(p, "the CASE branch"); }
otherwise(R) ::= . { R = NULL; }
otherwise(R) ::= ELSE expr(E). { R = E; }
primary(R) ::= primary(E) ARROW name(N). {
    sql_expr *e = sql_build_items(p, SQL_FIELD, E->offset, N.offset + N.size, sql_exprs_add(p, (sql_exprs){0}, E));
    e->name = N; R = e;
}
primary(R) ::= primary(E) LB value(I) RB(T). {
    R = sql_build_items(p, SQL_ELEMENT, E->offset, sql_token_end(T), sql_exprs_add(p, sql_exprs_add(p, (sql_exprs){0}, E), I));
}
primary(R) ::= ARRAY(A) LB RB(B). { R = sql_build_expr(p, SQL_ARRAY, A.offset, sql_token_end(B)); }
primary(R) ::= ARRAY(A) LB exprs(L) RB(B). { R = sql_build_items(p, SQL_ARRAY, A.offset, sql_token_end(B), L); }
primary(R) ::= MAP(A) LP RP(B). { R = sql_build_expr(p, SQL_MAP, A.offset, sql_token_end(B)); }
primary(R) ::= MAP(A) LP pairs(L) RP(B). { R = sql_build_items(p, SQL_MAP, A.offset, sql_token_end(B), L); }
pairs(R) ::= expr(K) ASSIGN expr(V). { R = sql_exprs_add(p, sql_exprs_add(p, (sql_exprs){0}, K), V); }
pairs(R) ::= pairs(L) COMMA expr(K) ASSIGN expr(V). { R = sql_exprs_add(p, sql_exprs_add(p, L, K), V); }
primary(R) ::= STRUCT(A) LP RP(B). { R = sql_build_expr(p, SQL_STRUCT, A.offset, sql_token_end(B)); }
primary(R) ::= STRUCT(A) LP members(L) RP(B). {
    sql_expr *e = sql_build_items(p, SQL_STRUCT, A.offset, sql_token_end(B), L.values);
    e->fields = L.names.items; R = e;
}
members(R) ::= name(N) ASSIGN expr(V). {
    R = (struct_list){0};
    R.values = sql_exprs_add(p, R.values, V);
    LIST_ADD(p, R.names, sql_name, N);
}
members(R) ::= members(L) COMMA name(N) ASSIGN expr(V). {
    R = L;
    R.values = sql_exprs_add(p, R.values, V);
    LIST_ADD(p, R.names, sql_name, N);
}

%code {
size_t sql_grammar_bytes(void) {
    return sizeof(yyParser);
}

void sql_grammar_begin(void *grammar, sql_parser *parser) {
    sql_grammarInit(grammar, parser);
}

void sql_grammar_feed(void *grammar, sql_token token) {
    sql_grammar(grammar, token.kind, token);
}

/* The tables' action for a token in a state, without the fallback of keywords to names. */
static YYACTIONTYPE exact_action(YYACTIONTYPE state, int kind) {
    if (state > YY_MAX_SHIFT) return state;
    const int at = yy_shift_ofst[state] + kind;
    if (at >= 0 && at < YY_NLOOKAHEAD && yy_lookahead[at] == kind) return yy_action[at];
    return yy_default[state];
}

/* Whether the parser, from the states it stands in, would come to shift the token: reductions are played on a copy. */
static bool accepts(const YYACTIONTYPE *states, int depth, int kind, YYACTIONTYPE *scratch) {
    memcpy(scratch, states, (size_t)depth * sizeof states[0]);
    int top = depth - 1;
    for (;;) {
        YYACTIONTYPE action = exact_action(scratch[top], kind);
        if (action <= YY_MAX_SHIFTREDUCE) return true;
        if (action < YY_MIN_REDUCE) return false;
        const int rule = action - YY_MIN_REDUCE;
        top += yyRuleInfoNRhs[rule]; /* negative: the length of the right side */
        const YYACTIONTYPE next = yy_find_reduce_action(scratch[top], yyRuleInfoLhs[rule]);
        if (next == YY_ACCEPT_ACTION) return kind == 0;
        scratch[++top] = next;
    }
}

void sql_grammar_expected(const void *grammar, bool accepted[SQL_TOKEN_KINDS_MAX]) {
    _Static_assert(YYNTOKEN <= SQL_TOKEN_KINDS_MAX, "every token has a place");
    const yyParser *parser = grammar;
    static _Thread_local YYACTIONTYPE states[YYSTACKDEPTH + 1], scratch[YYSTACKDEPTH + 8]; /* too large for a stack */
    const int depth = (int)(parser->yytos - parser->yystack) + 1;
    for (int i = 0; i < depth; i++) states[i] = parser->yystack[i].stateno;
    for (int kind = 0; kind < YYNTOKEN; kind++) accepted[kind] = accepts(states, depth, kind, scratch);
}
}
