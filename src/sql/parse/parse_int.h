/* sql/parse internals: the token, the parser's state, and what the grammar's actions call. */
#ifndef WEIR_SQL_PARSE_PARSE_INT_H
#define WEIR_SQL_PARSE_PARSE_INT_H

#include "sql/parse/parse.h"

typedef struct sql_token {
    int kind;              /* SQL_T_..., 0 = end */
    uint32_t offset, size; /* in the script */
} sql_token;

enum { SQL_TOKEN_KINDS_MAX = 256 };

typedef struct sql_parser {
    weir_arena *arena;
    weir_bytes script;
    const char *text; /* copy of the piece, terminated */
    uint32_t text_size;
    uint32_t base;   /* offset of the piece in the script */
    sql_token token; /* being fed */
    sql_token previous;
    const char *place;  /* the construct that was last completed ("the select item") ... */
    uint32_t place_end; /* ... and where */
    sql_error *error;
    bool failed;
    bool probing; /* a second run after a syntax error: stops before the bad token */
    sql_statement *statement;
    sql_query *query; /* being built */
    sql_name relation, relation_alias;
    union { /* handed out when the arena is full; the parse has failed and nobody reads it */
        sql_expr expr;
        sql_type type;
        sql_query query;
        sql_statement statement;
        max_align_t align;
    } spare;
} sql_parser;

/* lexer.re */
/* The token at `at` of the terminated text; offsets are in the text. Kinds below 0 are lexical errors. */
void sql_lex(const char *text, uint32_t size, uint32_t at, sql_token *token);
enum {
    SQL_LEX_END = 0,
    SQL_LEX_BAD_CHARACTER = -1,
    SQL_LEX_OPEN_STRING = -2,
    SQL_LEX_OPEN_NAME = -3,
    SQL_LEX_OPEN_COMMENT = -4,
    SQL_LEX_VARIABLE = -5
};
const char *sql_token_word(int kind); /* a keyword's word, NULL for others */

/* grammar.y */
size_t sql_grammar_bytes(void);
void sql_grammar_begin(void *grammar, sql_parser *parser);
void sql_grammar_feed(void *grammar, sql_token token);
/* Sets accepted[kind] for every token kind that could come next. */
void sql_grammar_expected(const void *grammar, bool accepted[SQL_TOKEN_KINDS_MAX]);

/* build.c: nodes; NULL never, see `spare` */
sql_name sql_build_name(sql_parser *p, sql_token token);
sql_name sql_build_raw_name(sql_parser *p, sql_token token); /* case kept */
sql_expr *sql_build_expr(sql_parser *p, sql_expr_kind kind, uint32_t offset, uint32_t end);
sql_expr *sql_build_literal(sql_parser *p, sql_expr_kind kind, sql_token token);
sql_expr *sql_build_items(sql_parser *p, sql_expr_kind kind, uint32_t offset, uint32_t end, sql_exprs items);
sql_expr *sql_build_binary(sql_parser *p, const char *operator, const sql_expr * left, const sql_expr *right);
sql_expr *sql_build_both(sql_parser *p, sql_expr_kind kind, const sql_expr *left, const sql_expr *right);
sql_expr *sql_build_negate(sql_parser *p, sql_token minus, const sql_expr *operand);
sql_expr *sql_build_case(sql_parser *p, uint32_t offset, uint32_t end, const sql_expr *operand, sql_exprs arms,
                         const sql_expr *otherwise);
sql_exprs sql_exprs_add(sql_parser *p, sql_exprs list, const sql_expr *expr);
sql_type *sql_build_type(sql_parser *p, sql_type_kind kind, const sql_type *key, const sql_type *element);
void *sql_grow(sql_parser *p, const void *items, uint32_t count, size_t item_bytes); /* NULL: failed */
weir_bytes sql_build_string(sql_parser *p, sql_token token);
int64_t sql_build_i64(sql_parser *p, sql_token token);
int64_t sql_build_duration(sql_parser *p, sql_token number, sql_token unit);
/* Begins p->query at its SELECT. */
void sql_build_query(sql_parser *p, sql_token select);
sql_statement *sql_build_statement(sql_parser *p, sql_statement_kind kind);

/* parse.c */
void sql_place(sql_parser *p, const char *place);
void sql_fail(sql_parser *p, weir_code code, uint32_t offset, const char *format, ...) WEIR_PRINTF(4, 5);
void sql_unsupported(sql_parser *p, uint32_t offset, const char *feature);
void sql_syntax_error(sql_parser *p);
static inline uint32_t sql_token_end(sql_token token) {
    return token.offset + token.size;
}

#endif
