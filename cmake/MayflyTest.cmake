# A unit test: tests/unit/NAME_test.c, one executable, CTest name unit.NAME, label unit.
#   mayfly_unit(NAME LINKS ... [SOURCES ...])
function(mayfly_unit name)
  cmake_parse_arguments(PARSE_ARGV 1 unit "" "" "LINKS;SOURCES")
  add_executable(${name}_test ${name}_test.c ${unit_SOURCES})
  target_link_libraries(${name}_test PRIVATE mayfly_build PkgConfig::CMOCKA ${unit_LINKS})
  add_test(NAME unit.${name} COMMAND ${name}_test)
  set_tests_properties(unit.${name} PROPERTIES LABELS unit TIMEOUT 120
    ENVIRONMENT "MAYFLY_SHARED=${MAYFLY_SHARED}" SKIP_RETURN_CODE 77)
endfunction()

# Where corpora, queries and hostile input are; tests that need them skip where it is absent.
if(DEFINED ENV{MAYFLY_SHARED})
  set(MAYFLY_SHARED $ENV{MAYFLY_SHARED})
else()
  set(MAYFLY_SHARED ${PROJECT_SOURCE_DIR}/../shared)
endif()
