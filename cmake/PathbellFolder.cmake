# SPDX-License-Identifier: Apache-2.0
#
# Include roots. A folder's headers are included as "folder/header.h". Each folder has a root of its
# own (a directory in the build tree holding one link, to the folder), and a target sees only the
# roots of the folders that it links: a forbidden include does not compile.
#
#   pathbell_folder(NAME [DIR dir])                     makes INTERFACE target pathbell_NAME_headers
#   pathbell_library(NAME FOLDER folder SOURCES ... LINKS ...)   static library pathbell_NAME
#   pathbell_program(NAME SOURCES ... LINKS ...)
#   pathbell_unit_test(NAME SOURCES ... LINKS ... [LABELS ...])
function(pathbell_folder name)
  set(root "${CMAKE_BINARY_DIR}/roots/${name}")
  file(MAKE_DIRECTORY "${root}")
  file(CREATE_LINK "${CMAKE_SOURCE_DIR}/${name}" "${root}/${name}" SYMBOLIC)
  add_library(pathbell_${name}_headers INTERFACE)
  target_include_directories(pathbell_${name}_headers INTERFACE "${root}")
endfunction()

# Every header of a folder compiles alone: one generated translation unit for each.
function(pathbell_check_headers target folder)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/${folder}/*.h")
  set(units)
  foreach(header ${headers})
    string(MAKE_C_IDENTIFIER "${header}" id)
    set(unit "${CMAKE_CURRENT_BINARY_DIR}/header_${id}.c")
    file(CONFIGURE OUTPUT "${unit}" CONTENT "#include \"${header}\" // IWYU pragma: keep\nextern int header_${id};\n" @ONLY)
    list(APPEND units "${unit}")
  endforeach()
  if(units)
    add_library(${target}_header_check OBJECT ${units})
    target_link_libraries(${target}_header_check PRIVATE ${target} pathbell_flags)
  endif()
endfunction()

function(pathbell_library name)
  cmake_parse_arguments(A "" "FOLDER" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
  add_library(pathbell_${name} STATIC ${A_SOURCES})
  target_link_libraries(pathbell_${name}
    PUBLIC pathbell_${A_FOLDER}_headers ${A_LINKS}
    PRIVATE pathbell_flags ${A_PRIVATE_LINKS})
endfunction()

function(pathbell_program name)
  cmake_parse_arguments(A "" "INSTALL" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE pathbell_flags ${A_LINKS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
  if(A_INSTALL)
    install(TARGETS ${name} DESTINATION ${A_INSTALL})
  endif()
endfunction()

# cmocka program, registered with ctest. Exit 77 is a skip.
function(pathbell_unit_test name)
  if(NOT TARGET PkgConfig::CMOCKA OR PATHBELL_FUZZ)
    return()
  endif()
  cmake_parse_arguments(A "" "" "SOURCES;LINKS;LABELS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE pathbell_flags ${A_LINKS} PkgConfig::CMOCKA)
  target_compile_definitions(${name} PRIVATE PATHBELL_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/data")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  add_test(NAME ${name} COMMAND ${name})
  if(NOT A_LABELS)
    set(A_LABELS unit)
  endif()
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1200 LABELS "${A_LABELS}")
endfunction()

# libFuzzer target over LLVMFuzzerTestOneInput; only with the fuzz preset. Corpus: tests/data/fuzz/NAME.
function(pathbell_fuzz_target name)
  if(NOT PATHBELL_FUZZ)
    return()
  endif()
  cmake_parse_arguments(A "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE pathbell_flags ${A_LINKS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz")
endfunction()
