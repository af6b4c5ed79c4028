/* The lexer: one token of a terminated text. Words become keywords by a table, so that the grammar alone decides which
 * of them are reserved (its %fallback). */
#include "sql/parse/grammar.h"
#include "sql/parse/parse_int.h"

#include <strings.h>

typedef struct keyword {
    const char *word;
    int kind;
} keyword;

/* Sorted: looked up by halving. */
static const keyword keywords[] = {
#define SQL_KEYWORD(word) {#word, SQL_T_##word},
#include "sql/parse/keywords.def"
#undef SQL_KEYWORD
};
enum { KEYWORD_COUNT = sizeof keywords / sizeof keywords[0] };

static int word_kind(const char *at, uint32_t size) {
    size_t low = 0, high = KEYWORD_COUNT;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        int order = strncasecmp(keywords[middle].word, at, size);
        if (order == 0 && keywords[middle].word[size] != 0) order = 1;
        if (order == 0) return keywords[middle].kind;
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return SQL_T_ID;
}

const char *sql_token_word(int kind) {
    for (size_t i = 0; i < KEYWORD_COUNT; i++)
        if (keywords[i].kind == kind) return keywords[i].word;
    return NULL;
}

void sql_lex(const char *text, uint32_t size, uint32_t at, sql_token *token) {
    const char *YYCURSOR = text + at, *YYMARKER = YYCURSOR;
    const char *const YYLIMIT = text + size;
    const char *start;
    int kind;
    for (;;) {
        start = YYCURSOR;
        /*!re2c
        re2c:define:YYCTYPE = "unsigned char";
        re2c:yyfill:enable = 0;
        re2c:eof = 0;

        digit   = [0-9];
        word    = [A-Za-z_][A-Za-z0-9_@]*;
        digits  = digit+;
        point   = digit+ "." digit* | "." digit+;
        power   = (digit+ | point) [eE] [+-]? digit+;

        [ \t\r\n\f\v]+           { continue; }
        "--" [^\n]*              { continue; }
        "/*" ([^*] | "*"+ [^*/])* "*"+ "/" { continue; }
        "/*"                     { kind = SQL_LEX_OPEN_COMMENT; break; }
        $                        { kind = SQL_LEX_END; break; }

        power                    { kind = SQL_T_DOUBLE; break; }
        point                    { kind = SQL_T_DECIMAL; break; }
        digits                   { kind = SQL_T_INTEGER; break; }
        digit [A-Za-z0-9_@]+     { kind = SQL_T_ID; break; }
        word                     { kind = word_kind(start, (uint32_t)(YYCURSOR - start)); break; }
        "'" ([^'] | "''")* "'"   { kind = SQL_T_STRING; break; }
        "'"                      { kind = SQL_LEX_OPEN_STRING; break; }
        "`" ([^`] | "``")* "`"   { kind = SQL_T_QUOTED; break; }
        ["] ([^"] | ["]["])* ["] { kind = SQL_T_QUOTED; break; }
        "`" | ["]                { kind = SQL_LEX_OPEN_NAME; break; }
        "${"                     { kind = SQL_LEX_VARIABLE; break; }

        "->"  { kind = SQL_T_ARROW; break; }
        "=>"  { kind = SQL_T_LAMBDA; break; }
        ":="  { kind = SQL_T_ASSIGN; break; }
        "<>" | "!=" { kind = SQL_T_NE; break; }
        "<="  { kind = SQL_T_LE; break; }
        ">="  { kind = SQL_T_GE; break; }
        "||"  { kind = SQL_T_CONCAT; break; }
        "="   { kind = SQL_T_EQ; break; }
        "<"   { kind = SQL_T_LT; break; }
        ">"   { kind = SQL_T_GT; break; }
        "("   { kind = SQL_T_LP; break; }
        ")"   { kind = SQL_T_RP; break; }
        "["   { kind = SQL_T_LB; break; }
        "]"   { kind = SQL_T_RB; break; }
        ","   { kind = SQL_T_COMMA; break; }
        "."   { kind = SQL_T_DOT; break; }
        ";"   { kind = SQL_T_SEMI; break; }
        "+"   { kind = SQL_T_PLUS; break; }
        "-"   { kind = SQL_T_MINUS; break; }
        "*"   { kind = SQL_T_MUL; break; }
        "/"   { kind = SQL_T_SLASH; break; }
        "%"   { kind = SQL_T_PERCENT; break; }
        *     { kind = SQL_LEX_BAD_CHARACTER; break; }
        */
    }
    *token = (sql_token){kind, (uint32_t)(start - text), (uint32_t)(YYCURSOR - start)};
}
