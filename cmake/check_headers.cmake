# Every header must compile on its own: for each, a source that includes nothing else. Headers with a
# source of their own need none: that source includes them first, and the dev preset compiles the
# sources of libraries one by one. Either way the precompiled headers come before: that headers
# include what they name of the standard library, tests/tidy sees to.
set(header_sources)
foreach(folder base memory sched loader compute text model cli)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
    ${PROJECT_SOURCE_DIR}/${folder}/*.h)
  foreach(header ${headers})
    if(header MATCHES "compute/kernels/(avx|amx)")
      continue()  # need their own instruction-set flags; compiled by the files that include them
    endif()
    string(REGEX REPLACE "h$" "cc" own_source ${header})
    if(EXISTS ${PROJECT_SOURCE_DIR}/${own_source} AND NOT folder STREQUAL cli)
      continue()
    endif()
    set(source ${CMAKE_BINARY_DIR}/check_headers/${header}.cc)
    file(GENERATE OUTPUT ${source} CONTENT "#include \"${header}\"\n")
    list(APPEND header_sources ${source})
  endforeach()
endforeach()
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
add_library(check_headers OBJECT ${header_sources})
target_compile_options(check_headers PRIVATE -O0 -g0)
target_precompile_headers(check_headers PRIVATE ${LLMRUN_PRECOMPILED})
target_link_libraries(check_headers PRIVATE
  model CLI11::CLI11 nlohmann_json::nlohmann_json PkgConfig::LIBURING)
