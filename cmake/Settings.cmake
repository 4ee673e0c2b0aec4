# Language, warnings, speed of the build. Nothing here is specific to one room.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # Without the sloppiness it would not cache what uses precompiled headers.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE_PROGRAM})
  add_compile_options($<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
endif()
include(CheckLinkerFlag)
check_linker_flag(CXX -fuse-ld=mold HAVE_MOLD)
if(HAVE_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# The time goes to libtorch's kernels; -O3 of our own code only costs compile time.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

add_library(adascale_settings INTERFACE)
# Else libtorch's small headers include the declarations of all 2,000 operators.
target_compile_definitions(adascale_settings INTERFACE AT_PER_OPERATOR_HEADERS)
target_compile_options(adascale_settings INTERFACE -Wall -Wextra -Wshadow -Wno-unused-parameter
                                                   -Wno-missing-field-initializers)
if(ADASCALE_SANITIZE MATCHES fuzzer AND NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
  message(FATAL_ERROR "ADASCALE_SANITIZE: ${ADASCALE_SANITIZE} needs clang, got ${CMAKE_CXX_COMPILER_ID}; run "
                      "scripts/sanitize address, or add -DCMAKE_CXX_COMPILER=clang++")
endif()
if(ADASCALE_SANITIZE)
  target_compile_options(adascale_settings INTERFACE -fsanitize=${ADASCALE_SANITIZE}
                                                     -fno-omit-frame-pointer -g1)
  target_link_options(adascale_settings INTERFACE -fsanitize=${ADASCALE_SANITIZE})
endif()
