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
  RESULT_VARIABLE TORCH_MISSING)
if(TORCH_MISSING)
  message(FATAL_ERROR "${Python_EXECUTABLE} has no torch; run scripts/setup, or pip install torch==2.13.0")
endif()
list(APPEND CMAKE_PREFIX_PATH ${TORCH_ROOT}/share/cmake)
find_package(Torch 2.13 REQUIRED)
if(ADASCALE_BUILD_PYTHON)
  find_library(TORCH_PYTHON_LIBRARY torch_python PATHS ${TORCH_ROOT}/lib REQUIRED NO_DEFAULT_PATH)
endif()

# at::parallel_for compiled without OpenMP runs on one thread, silently. Torch's wheel brings its own libgomp: link that
# very file, so that a process never has two.
if(EXISTS ${TORCH_ROOT}/lib/libgomp.so.1)
  set(OpenMP_gomp_LIBRARY ${TORCH_ROOT}/lib/libgomp.so.1 CACHE FILEPATH "OpenMP runtime")
endif()
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
find_or_fetch(hwy https://github.com/google/highway/archive/refs/tags/1.0.7.tar.gz)
if(NOT TARGET hwy::hwy)
  add_library(hwy::hwy ALIAS hwy)
endif()
if(ADASCALE_BUILD_CLI OR ADASCALE_BUILD_PYTHON)
  find_or_fetch(CLI11 https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.4.2.tar.gz)
endif()
if(ADASCALE_BUILD_TESTS)
  find_or_fetch(GTest https://github.com/google/googletest/archive/refs/tags/v1.14.0.tar.gz)
endif()
