# weir_grammar(FOLDER GRAMMAR LEXER VARIABLE): lemon and re2c at build time.
#
# src/FOLDER/GRAMMAR.y and LEXER.re become C files under build/.../generated/FOLDER; VARIABLE receives their names.
# lemon's template is found beside its distribution's other files. What a generator writes is held to fewer warnings.
function(weir_grammar folder grammar lexer variable)
  find_program(LEMON lemon REQUIRED)
  find_program(RE2C re2c REQUIRED)
  set(source ${CMAKE_SOURCE_DIR}/src/${folder})
  set(target ${CMAKE_BINARY_DIR}/generated/${folder})
  file(MAKE_DIRECTORY ${target})
  add_custom_command(OUTPUT ${target}/${grammar}.c ${target}/${grammar}.h
    COMMAND ${LEMON} -q -d${target} ${source}/${grammar}.y
    DEPENDS ${source}/${grammar}.y VERBATIM)
  add_custom_command(OUTPUT ${target}/${lexer}.c
    COMMAND ${RE2C} -W --no-generation-date -o ${target}/${lexer}.c ${source}/${lexer}.re
    DEPENDS ${source}/${lexer}.re ${target}/${grammar}.h VERBATIM)
  set(fewer_warnings -Wno-conversion -Wno-missing-prototypes -Wno-unused-parameter -Wno-unused-variable
      -Wno-type-limits -Wno-unused-function -Wno-implicit-fallthrough
      -Wno-shadow -Wno-overlength-strings -Wno-pedantic)
  set_source_files_properties(${target}/${grammar}.c ${target}/${lexer}.c PROPERTIES
    COMPILE_OPTIONS "${fewer_warnings}")
  set_source_files_properties(${source}/parse.c PROPERTIES OBJECT_DEPENDS ${target}/${grammar}.h)
  set(${variable} ${target}/${grammar}.c ${target}/${lexer}.c PARENT_SCOPE)
endfunction()
