/* The driver: feeds tokens to the grammar, refuses what weir does not run, and words what was expected. */
#include "sql/parse/grammar.h"
#include "sql/parse/parse_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { WORDS_AHEAD = 3, EXPECTED_MAX = 8 };

void sql_place(sql_parser *p, const char *place) {
    p->place = place;
    p->place_end = sql_token_end(p->previous);
}

void sql_fail(sql_parser *p, weir_code code, uint32_t offset, const char *format, ...) {
    if (p->failed) return;
    p->failed = true;
    if (p->probing) return;
    char message[sizeof p->error->message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    sql_error_at(p->error, code, p->script, offset, "%s", message);
    p->error->is_syntax = code != WEIR_UNSUPPORTED;
}

void sql_unsupported(sql_parser *p, uint32_t offset, const char *feature) {
    sql_fail(p, WEIR_UNSUPPORTED, offset, "%s is not supported by this version of weir", feature);
}

/* ---- what is refused by its first words ----------------------------------------------------------------------------
 */

static bool lex(const sql_parser *p, uint32_t at, sql_token *token) {
    sql_lex(p->text, p->text_size, at - p->base, token);
    token->offset += p->base;
    return token->kind > 0;
}

/* Words that are names unless what makes them a clause or a constructor follows. */
static void lex_in_context(const sql_parser *p, uint32_t at, sql_token *token) {
    if (!lex(p, at, token)) return;
    sql_token next;
    bool keyword = true;
    switch (token->kind) {
    case SQL_T_PARTITION:
        lex(p, sql_token_end(*token), &next);
        keyword = next.kind == SQL_T_BY;
        break;
    case SQL_T_EMIT:
        lex(p, sql_token_end(*token), &next);
        keyword = next.kind == SQL_T_CHANGES || next.kind == SQL_T_FINAL;
        break;
    case SQL_T_MAP:
    case SQL_T_STRUCT:
        lex(p, sql_token_end(*token), &next);
        keyword = next.kind == SQL_T_LP || next.kind == SQL_T_LT || next.kind == SQL_T_NE;
        break;
    case SQL_T_ARRAY: /* ARRAY[..], ARRAY<..>, and behind a type: STRING ARRAY */
        lex(p, sql_token_end(*token), &next);
        keyword = next.kind == SQL_T_LB || next.kind == SQL_T_LT || p->previous.kind == SQL_T_ID ||
                  p->previous.kind == SQL_T_QUOTED || p->previous.kind == SQL_T_GT || p->previous.kind == SQL_T_RP;
        break;
    default: return;
    }
    if (!keyword) token->kind = SQL_T_ID;
}

/* Statements of the dialect that weir knows of and does not run: refused before the grammar sees them. */
static bool check_supported(sql_parser *p) {
    static const struct {
        const char *words[WORDS_AHEAD];
        const char *feature;
    } unsupported[] = {
        {{"ALTER"}, "ALTER"},
        {{"PAUSE"}, "PAUSE"},
        {{"RESUME"}, "RESUME"},
        {{"ASSERT"}, "ASSERT"},
        {{"DEFINE"}, "DEFINE"},
        {{"UNDEFINE"}, "UNDEFINE"},
        {{"RUN", "SCRIPT"}, "RUN SCRIPT"},
        {{"CREATE", "TYPE"}, "CREATE TYPE"},
        {{"DROP", "TYPE"}, "DROP TYPE"},
        {{"CREATE", "SINK", "CONNECTOR"}, "CREATE SINK CONNECTOR"},
        {{"SHOW", "TYPES"}, "SHOW TYPES"},
        {{"LIST", "TYPES"}, "LIST TYPES"},
        {{"SHOW", "VARIABLES"}, "SHOW VARIABLES"},
        {{"LIST", "VARIABLES"}, "LIST VARIABLES"},
        {{"SHOW", "CONNECTOR", "PLUGINS"}, "SHOW CONNECTOR PLUGINS"},
        {{"LIST", "CONNECTOR", "PLUGINS"}, "LIST CONNECTOR PLUGINS"},
        {{"SHOW", "SINK", "CONNECTORS"}, "SHOW SINK CONNECTORS"},
        {{"LIST", "SINK", "CONNECTORS"}, "LIST SINK CONNECTORS"},
        {{"DESCRIBE", "STREAMS"}, "DESCRIBE STREAMS"},
        {{"DESCRIBE", "TABLES"}, "DESCRIBE TABLES"},
    };
    sql_token tokens[WORDS_AHEAD];
    uint32_t at = p->base, count = 0;
    while (count < WORDS_AHEAD && lex(p, at, &tokens[count])) at = sql_token_end(tokens[count++]);
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++) {
        uint32_t matched = 0;
        while (matched < WORDS_AHEAD && unsupported[i].words[matched] != NULL) {
            const char *word = unsupported[i].words[matched];
            if (matched >= count || tokens[matched].size != strlen(word) ||
                strncasecmp(p->text + (tokens[matched].offset - p->base), word, tokens[matched].size) != 0)
                break;
            matched++;
        }
        if (matched != WORDS_AHEAD && unsupported[i].words[matched] != NULL) continue;
        sql_unsupported(p, tokens[0].offset, unsupported[i].feature);
        return false;
    }
    return true;
}

/* ---- the loop ------------------------------------------------------------------------------------------------------
 */

static void lexical_error(sql_parser *p, sql_token token) {
    const char *text = p->text + (token.offset - p->base);
    switch (token.kind) {
    case SQL_LEX_OPEN_STRING:
        sql_fail(p, WEIR_INVALID, token.offset, "the string that begins here is not closed");
        return;
    case SQL_LEX_OPEN_NAME:
        sql_fail(p, WEIR_INVALID, token.offset, "the quoted name that begins here is not closed");
        return;
    case SQL_LEX_OPEN_COMMENT:
        sql_fail(p, WEIR_INVALID, token.offset, "the comment that begins here is not closed");
        return;
    case SQL_LEX_VARIABLE: sql_unsupported(p, token.offset, "a ${variable}"); return;
    default:
        if (text[0] > 32 && text[0] < 127)
            sql_fail(p, WEIR_INVALID, token.offset, "Syntax Error: unexpected character '%c'", text[0]);
        else
            sql_fail(p, WEIR_INVALID, token.offset, "Syntax Error: unexpected byte 0x%02X", (unsigned char)text[0]);
        return;
    }
}

/* Feeds the tokens of the piece until its end, a failure, or `stop_at`. */
static void run(sql_parser *p, void *grammar, uint32_t stop_at) {
    sql_grammar_begin(grammar, p);
    uint32_t at = p->base;
    bool ended = false;
    p->previous = (sql_token){0, p->base, 0};
    while (!p->failed) {
        lex_in_context(p, at, &p->token);
        if (p->token.offset >= stop_at) return;
        if (p->token.kind < 0) {
            lexical_error(p, p->token);
            return;
        }
        if (ended && p->token.kind != 0) {
            sql_fail(p, WEIR_INVALID, p->token.offset, "Syntax Error: text after the end of the statement");
            return;
        }
        if (p->token.kind == 0 && !ended) {
            sql_grammar_feed(grammar, (sql_token){SQL_T_SEMI, p->token.offset, 0});
            if (p->failed) return;
        }
        sql_grammar_feed(grammar, p->token);
        if (p->token.kind == 0) return;
        ended = p->token.kind == SQL_T_SEMI;
        at = sql_token_end(p->token);
        p->previous = p->token;
    }
}

/* ---- what was expected ---------------------------------------------------------------------------------------------
 */

static const char *symbol_words(int kind) {
    switch (kind) {
    case SQL_T_COMMA: return "a comma";
    case SQL_T_LP: return "'('";
    case SQL_T_RP: return "')'";
    case SQL_T_LB: return "'['";
    case SQL_T_RB: return "']'";
    case SQL_T_DOT: return "'.'";
    case SQL_T_EQ: return "'='";
    case SQL_T_LT: return "'<'";
    case SQL_T_GT: return "'>'";
    case SQL_T_ASSIGN: return "':='";
    case SQL_T_STRING: return "a string";
    case SQL_T_INTEGER: return "a whole number";
    case SQL_T_SEMI: return "the end of the statement";
    case SQL_T_MUL: return "*";
    case SQL_T_PRIMARY: return "PRIMARY KEY";
    case SQL_T_GROUP: return "GROUP BY";
    case SQL_T_PARTITION: return "PARTITION BY";
    case SQL_T_EMIT: return "EMIT CHANGES";
    case SQL_T_ID: return "a name";
    default: return sql_token_word(kind);
    }
}

/* Kinds that one phrase stands for, once `mark` says that the phrase applies. */
static void fold(bool *accepted, const int *kinds, size_t count) {
    for (size_t i = 0; i < count; i++) accepted[kinds[i]] = false;
}

/* Turns the set of acceptable tokens into a few phrases a person would use. */
static uint32_t expected_phrases(bool *accepted, const char **phrases) {
    static const int operators[] = {SQL_T_EQ,      SQL_T_NE,     SQL_T_LT,    SQL_T_LE,      SQL_T_GT,
                                    SQL_T_GE,      SQL_T_PLUS,   SQL_T_MINUS, SQL_T_MUL,     SQL_T_SLASH,
                                    SQL_T_PERCENT, SQL_T_CONCAT, SQL_T_AND,   SQL_T_OR,      SQL_T_NOT,
                                    SQL_T_IS,      SQL_T_IN,     SQL_T_LIKE,  SQL_T_BETWEEN, SQL_T_ARROW,
                                    SQL_T_LB,      SQL_T_LP,     SQL_T_DOT,   SQL_T_LAMBDA,  SQL_T_ESCAPE};
    static const int starts[] = {SQL_T_ID,     SQL_T_QUOTED, SQL_T_INTEGER, SQL_T_DECIMAL, SQL_T_DOUBLE,
                                 SQL_T_STRING, SQL_T_NULL,   SQL_T_TRUE,    SQL_T_FALSE,   SQL_T_CASE,
                                 SQL_T_CAST,   SQL_T_LP,     SQL_T_PLUS,    SQL_T_MINUS,   SQL_T_NOT,
                                 SQL_T_ARRAY,  SQL_T_MAP,    SQL_T_STRUCT,  SQL_T_REPLACE};
    static const int unsupported[] = {SQL_T_JOIN, SQL_T_INNER,  SQL_T_LEFT,   SQL_T_RIGHT,
                                      SQL_T_FULL, SQL_T_HEADER, SQL_T_HEADERS};
    static const int type_tails[] = {SQL_T_LP, SQL_T_ARRAY};
    uint32_t count = 0;
    fold(accepted, unsupported, sizeof unsupported / sizeof unsupported[0]); /* not worth proposing */
    if (accepted[SQL_T_KEY] && accepted[SQL_T_PRIMARY])
        fold(accepted, type_tails, sizeof type_tails / sizeof type_tails[0]);
    if (accepted[SQL_T_CASE] && accepted[SQL_T_CAST]) {
        phrases[count++] = "an expression";
        fold(accepted, starts, sizeof starts / sizeof starts[0]);
    } else if (accepted[SQL_T_PERCENT] || accepted[SQL_T_AND]) {
        const bool alias = accepted[SQL_T_AS];
        fold(accepted, operators, sizeof operators / sizeof operators[0]);
        if (alias) accepted[SQL_T_ID] = accepted[SQL_T_QUOTED] = false; /* AS says it */
        phrases[count++] = "an operator";
    } else if (accepted[SQL_T_ID]) {
        phrases[count++] = "a name";
        accepted[SQL_T_ID] = accepted[SQL_T_QUOTED] = false;
    }
    for (int kind = 1; kind < SQL_TOKEN_KINDS_MAX && count < EXPECTED_MAX; kind++) {
        const char *words = accepted[kind] ? symbol_words(kind) : NULL;
        if (words != NULL && kind != SQL_T_SEMI) phrases[count++] = words;
    }
    if (accepted[SQL_T_SEMI] && count < EXPECTED_MAX) phrases[count++] = symbol_words(SQL_T_SEMI);
    return count;
}

/* The grammar takes reductions before it notices a wrong token, which hides what could have come; so the piece is run
 * again up to that token and asked then. */
static void describe_expected(sql_parser *p, void *grammar, uint32_t bad_at) {
    sql_parser again = *p;
    sql_error unused = {0};
    again.error = &unused;
    again.failed = false;
    again.probing = true;
    again.place = NULL;
    run(&again, grammar, bad_at);
    if (again.failed) return;
    bool accepted[SQL_TOKEN_KINDS_MAX] = {false};
    const char *phrases[EXPECTED_MAX + 1];
    sql_grammar_expected(grammar, accepted);
    const uint32_t count = expected_phrases(accepted, phrases);
    char list[sizeof p->error->hint];
    size_t size = 0;
    for (uint32_t i = 0; i < count && size < sizeof list; i++) {
        const char *between = i == 0 ? "" : i + 1 == count ? " or " : ", ";
        const int wrote = snprintf(list + size, sizeof list - size, "%s%s", between, phrases[i]);
        size += wrote > 0 ? (size_t)wrote : 0;
    }
    if (count == 0) return;
    const sql_token before = again.previous;
    if (before.size == 0)
        sql_error_hint(p->error, "Expected %s.", list);
    else if (p->place != NULL && p->place_end == sql_token_end(before))
        sql_error_hint(p->error, "Expected %s after %s.", list, p->place);
    else
        sql_error_hint(p->error, "Expected %s after %.*s.", list, (int)(before.size > 40 ? 40 : before.size),
                       p->text + (before.offset - p->base));
}

void sql_syntax_error(sql_parser *p) {
    const sql_token token = p->token;
    const char *text = p->text + (token.offset - p->base);
    if (token.kind == 0)
        sql_fail(p, WEIR_INVALID, token.offset, "Syntax Error: the statement ends too early");
    else if (sql_token_word(token.kind) != NULL && sql_word_is_reserved(sql_token_word(token.kind)))
        sql_fail(p, WEIR_INVALID, token.offset, "Syntax Error: unexpected keyword %s", sql_token_word(token.kind));
    else
        sql_fail(p, WEIR_INVALID, token.offset, "Syntax Error: unexpected %.*s",
                 (int)(token.size > 64 ? 64 : token.size), text);
}

/* ---- entry ---------------------------------------------------------------------------------------------------------
 */

static bool parse_begin(sql_parser *p, sql_piece piece, void **grammar) {
    if (piece.size > SQL_STATEMENT_BYTES_MAX) {
        sql_fail(p, WEIR_INVALID, piece.offset, "a statement of %u bytes, at most %d are allowed", piece.size,
                 SQL_STATEMENT_BYTES_MAX);
        return false;
    }
    char *text = weir_arena_try(p->arena, (size_t)piece.size + 1);
    *grammar = weir_arena_try(p->arena, sql_grammar_bytes());
    if (text == NULL || *grammar == NULL) {
        sql_fail(p, WEIR_NO_MEMORY, piece.offset, "the statement needs more memory than there is");
        return false;
    }
    memcpy(text, p->script.data + piece.offset, piece.size);
    text[piece.size] = 0;
    p->text = text;
    return true;
}

bool sql_parse(weir_arena *arena, weir_bytes script, sql_piece piece, const sql_statement **statement,
               sql_error *error) {
    weir_assert(piece.offset <= script.size && piece.size <= script.size - piece.offset);
    *error = (sql_error){0};
    *statement = NULL;
    sql_parser p = {.arena = arena, .script = script, .text_size = piece.size, .base = piece.offset, .error = error};
    void *grammar = NULL;
    if (!parse_begin(&p, piece, &grammar) || !check_supported(&p)) return false;
    run(&p, grammar, UINT32_MAX);
    if (p.failed) {
        if (error->is_syntax && error->hint[0] == 0 && strncmp(error->message, "Syntax Error", 12) == 0 &&
            p.token.kind >= 0)
            describe_expected(&p, grammar, p.token.offset);
        return false;
    }
    weir_assert(p.statement != NULL);
    p.statement->text = p.text;
    p.statement->offset = piece.offset;
    p.statement->size = piece.size;
    if (p.statement->inner != NULL) {
        sql_statement *inner = (sql_statement *)(uintptr_t)p.statement->inner;
        inner->text = p.text;
        inner->offset = piece.offset;
        inner->size = piece.size;
    }
    *statement = p.statement;
    return true;
}
