# The rules every target of this project is built by. No machine-specific flags: ISA-specific
# files ask for theirs one by one in compute/CMakeLists.txt.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
pkg_check_modules(LIBURING REQUIRED IMPORTED_TARGET liburing)
pkg_check_modules(HWLOC REQUIRED IMPORTED_TARGET hwloc)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)

add_library(llmrun_options INTERFACE)
target_compile_options(llmrun_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align
  -Werror -fno-strict-aliasing -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # g++ 12 sees overlaps and overflows in std::string's operator+ and insert that are not there
  # (GCC bugs 105329, 105651), depending on what it inlines.
  target_compile_options(llmrun_options INTERFACE
    -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds)
endif()
target_include_directories(llmrun_options INTERFACE ${PROJECT_SOURCE_DIR})
if(LLMRUN_SANITIZE)
  target_compile_options(llmrun_options INTERFACE
    -fsanitize=${LLMRUN_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(llmrun_options INTERFACE -fsanitize=${LLMRUN_SANITIZE})
  # At a fixed address: the checks' tables want a million relocations, a third of the time that a
  # short command takes.
  set(CMAKE_POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(llmrun_options INTERFACE -fno-pie)
  target_link_options(llmrun_options INTERFACE -no-pie)
endif()

# What nearly every source includes takes longer to parse than the source itself: parsed once for
# all libraries. Headers include what they name all the same (tests/tidy).
set(LLMRUN_PRECOMPILED
  <algorithm> <atomic> <cstring> <deque> <functional> <map> <memory> <mutex> <optional> <span>
  <string> <string_view> <thread> <utility> <vector> <fmt/format.h> <tl/expected.hpp>)

# llmrun_library(NAME [deps...]): the static library of this folder, from every .cc below it.
function(llmrun_library name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC llmrun_options ${ARGN})
  # Sanitizer presets are built to be tested, not to be edited: several sources in one go.
  set_target_properties(${name} PROPERTIES UNITY_BUILD ${LLMRUN_UNITY} UNITY_BUILD_BATCH_SIZE 18)
  if(NOT LLMRUN_UNITY AND name STREQUAL base)
    target_precompile_headers(base PRIVATE ${LLMRUN_PRECOMPILED})
  elseif(NOT LLMRUN_UNITY)
    target_precompile_headers(${name} REUSE_FROM base)
  endif()
endfunction()
