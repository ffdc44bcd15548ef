# mayfly_build: what every target of ours is compiled with.
add_library(mayfly_build INTERFACE)
target_compile_definitions(mayfly_build INTERFACE _GNU_SOURCE MAYFLY_VERSION="${PROJECT_VERSION}")
target_include_directories(mayfly_build INTERFACE ${PROJECT_SOURCE_DIR})
# No fused multiply-add and no fast-math anywhere: scores agree to the last bit on all machines.
target_compile_options(mayfly_build INTERFACE
  -ffp-contract=off -fno-math-errno -fno-strict-aliasing -fvisibility=hidden
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wstrict-prototypes -Wmissing-prototypes
  -Wvla -Wpointer-arith -Wwrite-strings -Wcast-qual -Wcast-align -Wformat=2 -Wimplicit-fallthrough -Wswitch-enum
  -Wdouble-promotion)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  # With sanitizers this one sees null pointers in the code that checks for them.
  if(NOT MAYFLY_SANITIZE)
    target_compile_options(mayfly_build INTERFACE -Wnull-dereference)
  endif()
endif()
if(MAYFLY_WERROR)
  target_compile_options(mayfly_build INTERFACE -Werror)
endif()
if(MAYFLY_SANITIZE)
  target_compile_options(mayfly_build INTERFACE -fsanitize=${MAYFLY_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(mayfly_build INTERFACE -fsanitize=${MAYFLY_SANITIZE})
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_options(mayfly_build INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong)
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
target_link_options(mayfly_build INTERFACE -Wl,-z,relro,-z,now)

# A library of ours. PUBLIC is only what its headers show.
#   mayfly_library(NAME SOURCES ... [PUBLIC ...] [PRIVATE ...])
function(mayfly_library name)
  cmake_parse_arguments(PARSE_ARGV 1 lib "" "" "SOURCES;PUBLIC;PRIVATE")
  add_library(${name} STATIC ${lib_SOURCES})
  target_link_libraries(${name} PUBLIC mayfly_build ${lib_PUBLIC} PRIVATE ${lib_PRIVATE})
endfunction()
