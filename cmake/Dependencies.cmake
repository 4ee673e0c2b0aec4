# Everything we stand on. The system's copy is used where it is found; otherwise FetchContent gets it.
include(FetchContent)
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter)
if(ADASCALE_BUILD_PYTHON)
  find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
endif()

execute_process(
  COMMAND ${Python_EXECUTABLE} -c
          "import importlib.util as u, os; print(os.path.dirname(u.find_spec('torch').origin))"
  OUTPUT_VARIABLE TORCH_ROOT
  OUTPUT_STRIP_TRAILING_WHITESPACE
  RESULT_VARIABLE TORCH_MISSING
  ERROR_QUIET)
# The range stands in pyproject.toml alone.
file(STRINGS ${PROJECT_SOURCE_DIR}/pyproject.toml torch_range REGEX "torch>=[0-9.]+,<[0-9.]+" LIMIT_COUNT 1)
string(REGEX MATCH "torch>=([0-9.]+),<([0-9.]+)" torch_range "${torch_range}")
set(torch_from "${CMAKE_MATCH_1}")
set(torch_below "${CMAKE_MATCH_2}")
if(TORCH_MISSING)
  message(FATAL_ERROR "${Python_EXECUTABLE}: no torch, expected ${torch_range}; run scripts/setup or pip install it")
endif()
include(Torch)
read_torch_version("${TORCH_ROOT}" TORCH_VERSION)
if(TORCH_VERSION VERSION_LESS torch_from OR NOT TORCH_VERSION VERSION_LESS torch_below)
  message(FATAL_ERROR "${TORCH_ROOT}: got torch ${TORCH_VERSION}, expected ${torch_range}; pip install that")
endif()
# What is built runs beside this minor version alone: torch's C++ ABI changes between them.
string(REGEX MATCH "^[0-9]+\\.[0-9]+" TORCH_MINOR "${TORCH_VERSION}")
message(STATUS "torch ${TORCH_VERSION} in ${TORCH_ROOT}")
add_torch("${TORCH_ROOT}")
set(TORCH_PYTHON_LIBRARY "${TORCH_ROOT}/lib/libtorch_python.so")

# torch's libraries use the shared libstdc++. A compiler that has the static one alone would put a second into ours, whose
# streams crash on the first one's locales.
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libstdc++.so OUTPUT_VARIABLE shared_libstdcxx
                OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT IS_ABSOLUTE "${shared_libstdcxx}")
  message(FATAL_ERROR "${CMAKE_CXX_COMPILER}: no shared libstdc++, which torch's libraries use; name another compiler, "
                      "for example CXX=/usr/bin/g++")
endif()

# at::parallel_for compiled without OpenMP runs on one thread, silently.
use_openmp_of_torch("${TORCH_ROOT}")
find_package(OpenMP REQUIRED COMPONENTS CXX)

function(find_or_fetch package url)
  find_package(${package} QUIET)
  if(NOT ${package}_FOUND)
    message(STATUS "${package}: not installed, fetching ${url}")
    FetchContent_Declare(${package} URL ${url} DOWNLOAD_EXTRACT_TIMESTAMP ON)
    FetchContent_MakeAvailable(${package})
  endif()
endfunction()

# Torch's headers carry fmt and shadow any other copy on the include path: use that one, header only, everywhere.
add_library(adascale_fmt INTERFACE)
target_include_directories(adascale_fmt SYSTEM INTERFACE $<BUILD_INTERFACE:${TORCH_ROOT}/include>)
target_compile_definitions(adascale_fmt INTERFACE FMT_HEADER_ONLY)

find_or_fetch(nlohmann_json https://github.com/nlohmann/json/releases/download/v3.11.3/json.tar.xz)
set(HWY_ENABLE_TESTS OFF)
set(HWY_ENABLE_EXAMPLES OFF)
set(HWY_ENABLE_INSTALL OFF)
find_or_fetch(hwy https://github.com/google/highway/archive/refs/tags/1.0.7.tar.gz)
if(NOT TARGET hwy::hwy)
  add_library(hwy::hwy ALIAS hwy)
endif()
# One header, compiled into what includes it.
find_path(XXHASH_INCLUDE xxhash.h)
if(NOT XXHASH_INCLUDE)
  set(xxhash_url https://github.com/Cyan4973/xxHash/archive/refs/tags/v0.8.2.tar.gz)
  message(STATUS "xxhash: not installed, fetching ${xxhash_url}")
  FetchContent_Declare(xxhash URL ${xxhash_url} DOWNLOAD_EXTRACT_TIMESTAMP ON SOURCE_SUBDIR header_alone)
  FetchContent_MakeAvailable(xxhash)
  set(XXHASH_INCLUDE ${xxhash_SOURCE_DIR})
endif()
add_library(adascale_xxhash INTERFACE)
target_include_directories(adascale_xxhash SYSTEM INTERFACE $<BUILD_INTERFACE:${XXHASH_INCLUDE}>)
if(ADASCALE_BUILD_CLI OR ADASCALE_BUILD_PYTHON)
  find_or_fetch(CLI11 https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.4.2.tar.gz)
endif()
if(ADASCALE_BUILD_TESTS)
  find_or_fetch(GTest https://github.com/google/googletest/archive/refs/tags/v1.14.0.tar.gz)
endif()
