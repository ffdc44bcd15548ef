# Generates C from .proto files into the build tree, as a library whose headers are SYSTEM (exempt from our warnings) and
# included as "proto/NAME.pb-c.h".
#   mayfly_proto(TARGET FILE.proto ...)
function(mayfly_proto target)
  set(generated)
  foreach(file IN LISTS ARGN)
    get_filename_component(stem ${file} NAME_WE)
    set(out ${CMAKE_CURRENT_BINARY_DIR}/gen/proto/${stem}.pb-c)
    add_custom_command(OUTPUT ${out}.c ${out}.h
      COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_CURRENT_BINARY_DIR}/gen
      COMMAND ${PROTOC_C} --c_out=${CMAKE_CURRENT_BINARY_DIR}/gen --proto_path=${PROJECT_SOURCE_DIR} proto/${file}
      DEPENDS ${file} VERBATIM)
    list(APPEND generated ${out}.c ${out}.h)
  endforeach()
  add_library(${target} STATIC ${generated})
  target_include_directories(${target} SYSTEM PUBLIC ${CMAKE_CURRENT_BINARY_DIR}/gen)
  target_link_libraries(${target} PUBLIC PkgConfig::PROTOBUF_C)
endfunction()
