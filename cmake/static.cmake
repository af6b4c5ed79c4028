# weir_static(NAME archive...): sets WEIR_LIB_<NAME> to the library's archive, or to its name where there is none.
#
# The program carries its small libraries inside itself, so that one file runs where there is libc; what has no archive,
# and what only the client commands use, stays shared.
function(weir_static name)
  foreach(archive ${ARGN})
    find_library(WEIR_ARCHIVE_${archive} lib${archive}.a)
    mark_as_advanced(WEIR_ARCHIVE_${archive})
    if(WEIR_ARCHIVE_${archive})
      set(WEIR_LIB_${name} ${WEIR_ARCHIVE_${archive}} PARENT_SCOPE)
      return()
    endif()
  endforeach()
  set(WEIR_LIB_${name} ${name} PARENT_SCOPE)
endfunction()

weir_static(uv uv_a uv) # Debian calls it libuv_a.a
foreach(name jansson lz4 zstd snappy z xxhash)
  weir_static(${name} ${name})
endforeach()
# snappy is C++ behind its C API: its runtime comes along, the compiler's own archive.
set(WEIR_LIBS_snappy ${WEIR_LIB_snappy})
if(IS_ABSOLUTE "${WEIR_LIB_snappy}")
  list(APPEND WEIR_LIBS_snappy -Wl,-Bstatic -lstdc++ -Wl,-Bdynamic)
endif()
