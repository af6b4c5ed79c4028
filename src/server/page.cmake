# Puts page.html into the program: SERVER_GENERATED is what the module compiles beside its own files. Run as a script
# (-DSOURCE -DTARGET) it writes the C file.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${SOURCE} page HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," page "${page}")
  file(WRITE ${TARGET} "#include \"server/page.h\"\n\nconst uint8_t server_page[] = {\n${page}};\n"
                       "const size_t server_page_bytes = sizeof server_page;\n")
  return()
endif()

set(SERVER_GENERATED ${CMAKE_BINARY_DIR}/generated/server/page.c)
add_custom_command(
  OUTPUT ${SERVER_GENERATED}
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR}/src/server/page.html -DTARGET=${SERVER_GENERATED}
          -P ${CMAKE_SOURCE_DIR}/src/server/page.cmake
  DEPENDS ${CMAKE_SOURCE_DIR}/src/server/page.html ${CMAKE_SOURCE_DIR}/src/server/page.cmake
  COMMENT "the first page" VERBATIM)
