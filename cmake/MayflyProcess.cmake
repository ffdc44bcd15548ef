# A directory with a main.c is a process. What its malloc is decides how its memory behaves:
#   arena     worker/malloc.c: bump allocation, exit is the free
#   tcmalloc  for long-lived search structures
#   libc
#
#   mayfly_process(NAME MALLOC arena|tcmalloc|libc SOURCES ... LINKS ... DESTINATION dir)
function(mayfly_process name)
  cmake_parse_arguments(PARSE_ARGV 1 proc "" "MALLOC;DESTINATION" "SOURCES;LINKS")
  add_executable(${name} ${proc_SOURCES})
  target_link_libraries(${name} PRIVATE mayfly_build ${proc_LINKS})
  if(proc_MALLOC STREQUAL "arena")
    if(MAYFLY_ALLOCATORS)
      target_sources(${name} PRIVATE malloc.c)
      # -fno-builtin: else gcc turns calloc's malloc and memset into a call of calloc.
      set_source_files_properties(malloc.c PROPERTIES COMPILE_OPTIONS "-fno-builtin")
      target_compile_definitions(${name} PRIVATE MAYFLY_ARENA_MALLOC)
      target_link_options(${name} PRIVATE -rdynamic)
    endif()
  elseif(proc_MALLOC STREQUAL "tcmalloc")
    if(MAYFLY_ALLOCATORS)
      target_link_libraries(${name} PRIVATE -Wl,--no-as-needed PkgConfig::TCMALLOC -Wl,--as-needed)
      target_compile_definitions(${name} PRIVATE MAYFLY_TCMALLOC)
    endif()
  elseif(NOT proc_MALLOC STREQUAL "libc")
    message(FATAL_ERROR "${name}: MALLOC is arena, tcmalloc or libc, not '${proc_MALLOC}'")
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  install(TARGETS ${name} RUNTIME DESTINATION ${proc_DESTINATION})
endfunction()
