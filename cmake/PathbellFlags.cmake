# SPDX-License-Identifier: Apache-2.0
# Compiler settings shared by all targets. PATHBELL_SANITIZE and PATHBELL_FUZZ come from the presets.
set(PATHBELL_SANITIZE "" CACHE STRING "sanitizers: empty, address,undefined or thread")
option(PATHBELL_FUZZ "build the fuzz targets with libFuzzer (clang)" OFF)
option(PATHBELL_WERROR "warnings are errors" OFF)
option(PATHBELL_COVERAGE "instrument for gcovr" OFF)

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(pathbell_flags INTERFACE)
target_compile_definitions(pathbell_flags INTERFACE _GNU_SOURCE
  PATHBELL_VERSION="${PROJECT_VERSION}")
target_compile_options(pathbell_flags INTERFACE
  -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes
  -Wwrite-strings -Wvla -Wformat=2 -Wundef -Wno-unused-parameter
  $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation> # a text that is cut at its bound is by design
  -fno-common -fno-strict-aliasing)
if(PATHBELL_WERROR)
  target_compile_options(pathbell_flags INTERFACE -Werror)
endif()
if(PATHBELL_SANITIZE)
  target_compile_options(pathbell_flags INTERFACE -fsanitize=${PATHBELL_SANITIZE}
    -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(pathbell_flags INTERFACE -fsanitize=${PATHBELL_SANITIZE})
endif()
if(PATHBELL_FUZZ)
  target_compile_options(pathbell_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined
    -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(pathbell_flags INTERFACE -fsanitize=address,undefined)
endif()
if(PATHBELL_COVERAGE)
  target_compile_options(pathbell_flags INTERFACE --coverage)
  target_link_options(pathbell_flags INTERFACE --coverage)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_options(pathbell_flags INTERFACE -fstack-protector-strong
    -fstack-clash-protection -fcf-protection -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  target_link_options(pathbell_flags INTERFACE -Wl,-z,relro,-z,now -Wl,--as-needed)
endif()
