# SPDX-License-Identifier: Apache-2.0
# protoc-c over .proto files: static library NAME with the generated code and its include root.
#   pathbell_proto_library(NAME ROOT dir PROTOS a/b.proto ... )
find_program(PROTOC_C protoc-c REQUIRED)
find_program(PROTOC protoc REQUIRED)

# Everything that is generated, for tools that only read (clang-tidy).
add_custom_target(generated)

function(pathbell_proto_library name)
  cmake_parse_arguments(A "" "ROOT" "PROTOS" ${ARGN})
  set(out "${CMAKE_BINARY_DIR}/generated/${name}")
  file(MAKE_DIRECTORY "${out}")
  set(sources)
  foreach(proto ${A_PROTOS})
    string(REGEX REPLACE "\\.proto$" "" stem "${proto}")
    add_custom_command(
      OUTPUT "${out}/${stem}.pb-c.c" "${out}/${stem}.pb-c.h"
      COMMAND ${PROTOC_C} --c_out=${out} -I ${A_ROOT} ${A_ROOT}/${proto}
      DEPENDS ${A_ROOT}/${proto} VERBATIM)
    list(APPEND sources "${out}/${stem}.pb-c.c" "${out}/${stem}.pb-c.h")
  endforeach()
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} SYSTEM PUBLIC "${out}")
  add_dependencies(generated ${name})
  target_link_libraries(${name} PUBLIC PkgConfig::PROTOBUF_C)
endfunction()
