# A unit test: tests/unit/NAME_test.c, one executable, CTest name unit.NAME, label unit.
#   mayfly_unit(NAME LINKS ... [SOURCES ...])
function(mayfly_unit name)
  cmake_parse_arguments(PARSE_ARGV 1 unit "" "" "LINKS;SOURCES")
  add_executable(${name}_test ${name}_test.c ${unit_SOURCES})
  target_link_libraries(${name}_test PRIVATE mayfly_build PkgConfig::CMOCKA ${unit_LINKS})
  add_test(NAME unit.${name} COMMAND ${name}_test)
  set_tests_properties(unit.${name} PROPERTIES LABELS unit TIMEOUT 900
    ENVIRONMENT "MAYFLY_SHARED=${MAYFLY_SHARED}" SKIP_RETURN_CODE 77)
endfunction()

# Where corpora, queries and hostile input are; tests that need them skip where it is absent.
if(DEFINED ENV{MAYFLY_SHARED})
  set(MAYFLY_SHARED $ENV{MAYFLY_SHARED})
else()
  set(MAYFLY_SHARED ${PROJECT_SOURCE_DIR}/../shared)
endif()

# A file of pytest cases as one test: tests/LABEL/test_NAME.py, CTest name LABEL.NAME.
# COST is about how many seconds it takes: the longest begin first, so that none is left alone at the end.
#   mayfly_pytest(LABEL NAME [TIMEOUT seconds] [COST seconds] [ARGS ...])
function(mayfly_pytest label name)
  cmake_parse_arguments(PARSE_ARGV 2 case "" "TIMEOUT;COST" "ARGS")
  if(NOT case_TIMEOUT)
    set(case_TIMEOUT 900) # only what hangs comes to it, however busy the machine
  endif()
  if(NOT case_COST)
    set(case_COST 0)
  endif()
  add_test(NAME ${label}.${name} COMMAND /usr/bin/python3 -B -m pytest -q -rs -p no:cacheprovider
    ${CMAKE_CURRENT_SOURCE_DIR}/test_${name}.py ${case_ARGS})
  set_tests_properties(${label}.${name} PROPERTIES LABELS ${label} TIMEOUT ${case_TIMEOUT} COST ${case_COST}
    SKIP_REGULAR_EXPRESSION "\n[0-9]+ skipped in "
    ENVIRONMENT "MAYFLY_BIN=${PROJECT_BINARY_DIR}/bin;MAYFLY_SHARED=${MAYFLY_SHARED};MAYFLY_SANITIZE=${MAYFLY_SANITIZE};MAYFLY_BUILD_TYPE=${CMAKE_BUILD_TYPE};MAYFLY_TEST_HOOKS=${MAYFLY_TEST_HOOKS};PYTHONPATH=${PROJECT_SOURCE_DIR}/client/python:${PROJECT_BINARY_DIR}/client/python")
endfunction()
