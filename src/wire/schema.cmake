# Generates wire/messages.h and wire/messages.c from the schemas. WIRE_GENERATED is what the module compiles beside its
# own files.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
file(GLOB_RECURSE WIRE_SCHEMAS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/wire/schema/*.wire)
set(WIRE_GENERATED ${CMAKE_BINARY_DIR}/generated/wire/messages.c)
add_custom_command(
  OUTPUT ${WIRE_GENERATED} ${CMAKE_BINARY_DIR}/generated/wire/messages.h
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/wirec.py --output ${CMAKE_BINARY_DIR}/generated
          ${WIRE_SCHEMAS}
  DEPENDS ${CMAKE_SOURCE_DIR}/tools/wirec.py ${WIRE_SCHEMAS}
  COMMENT "schemas of the Kafka protocol")

if(WEIR_TESTS)
  add_test(NAME wire/schema_against_kafka
           COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/src/wire/schema_against_kafka.py
           WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(wire/schema_against_kafka PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 60)
endif()
