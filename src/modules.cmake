# The modules, lowest layer first. USES is what the linker needs; layers.txt is what may be included.
weir_module(base LIBS ${WEIR_LIB_xxhash} pthread m)
weir_module(io USES base)
weir_module(io/real USES io base LIBS ${WEIR_LIB_uv} dl)
weir_module(io/sim USES io base)
weir_module(io/single USES io base)
weir_module(guard USES base)
weir_module(http USES io base TEST_USES io/sim io/real)
include(src/wire/schema.cmake)
weir_module(wire USES base SOURCES ${WIRE_GENERATED}
            LIBS ${WEIR_LIB_lz4} ${WEIR_LIB_zstd} ${WEIR_LIBS_snappy} ${WEIR_LIB_z})
weir_module(log USES io wire base TEST_USES io/sim io/real)
include(src/log/mutants.cmake)
weir_module(broker USES log wire guard io base TEST_USES io/sim io/real)
weir_module(data USES base)
weir_module(data/format USES data base)
weir_module(func USES data data/format base)
weir_module(bus USES data io base)
weir_module(bus/memory USES bus data io base TEST_USES io/single)
weir_module(bus/embedded USES bus broker log wire guard data io base TEST_USES io/sim io/real)
weir_module(state USES data bus io base TEST_USES io/sim)
weir_module(flow USES state bus func data/format data io base TEST_USES io/sim)
weir_module(connect/file USES data io base TEST_USES io/real)
weir_module(connect USES connect/file data bus io base TEST_USES bus/embedded io/sim)
weir_grammar(sql/parse grammar lexer SQL_PARSE_SOURCES)
weir_module(sql/parse USES base SOURCES ${SQL_PARSE_SOURCES})
weir_module(sql/catalog USES sql/parse data base)
weir_module(sql/analyse USES sql/parse sql/catalog func data base)
weir_module(sql/plan USES sql/analyse sql/parse sql/catalog flow state func data base LIBS ${WEIR_LIB_jansson})
weir_module(probe USES sql/plan sql/analyse sql/parse sql/catalog flow state bus/memory bus func data/format data
            io/single io base)
weir_module(engine USES sql/plan sql/analyse sql/parse sql/catalog flow state bus/embedded bus broker connect
            connect/file func data io base
            LIBS ${WEIR_LIB_jansson} TEST_USES io/real io/sim)
include(src/server/page.cmake)
weir_module(server USES engine sql/plan broker http data guard io base
            SOURCES ${SERVER_GENERATED} LIBS ${WEIR_LIB_jansson}
            TEST_USES bus/embedded io/real)

# The program: src/cli over everything.
if(TARGET weir_server AND TARGET weir_engine AND TARGET weir_bus_embedded)
  file(GLOB cli_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cli/*.c)
  list(FILTER cli_sources EXCLUDE REGEX "_test\\.c$")
  add_executable(weir ${cli_sources})
  target_link_libraries(weir PRIVATE weir_server weir_probe weir_engine weir_bus_embedded weir_io_real
                        curl edit rdkafka)
  # Symbols of the archives stay inside; -static-libgcc because snappy's C++ unwinds by it.
  target_link_options(weir PRIVATE -static-libgcc -Wl,--exclude-libs,ALL)
  if(WEIR_TESTS)
    add_executable(cli_record_text_test src/cli/record_text_test.c src/cli/record_text.c)
    target_link_libraries(cli_record_text_test PRIVATE weir_base ${WEIR_LIB_jansson} rdkafka cmocka)
    add_test(NAME cli/record_text_test COMMAND cli_record_text_test)
    set_tests_properties(cli/record_text_test PROPERTIES TIMEOUT 60)
  endif()
endif()
