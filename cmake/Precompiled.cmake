# Reading libtorch's headers is most of a compile, so one target reads them once for all the others.
function(add_precompiled_headers)
  file(CONFIGURE OUTPUT precompiled.cpp CONTENT "// Exists so that its headers are compiled.\n")
  add_library(adascale_precompiled OBJECT ${CMAKE_CURRENT_BINARY_DIR}/precompiled.cpp)
  target_link_libraries(adascale_precompiled PRIVATE adascale::torch OpenMP::OpenMP_CXX adascale_fmt adascale_settings)
  target_precompile_headers(
    adascale_precompiled
    PRIVATE
    <ATen/TensorOperators.h>
    <ATen/core/Tensor.h>
    <ATen/core/ivalue.h>
    <fmt/format.h>
    <functional>
    <map>
    <memory>
    <optional>
    <set>
    <string>
    <unordered_map>
    <vector>)
endfunction()

# use_precompiled_headers(TARGET): for anything that links torch.
function(use_precompiled_headers target)
  target_precompile_headers(${target} REUSE_FROM adascale_precompiled)
  # Executables would be -fPIE, and the headers were compiled with -fPIC: the compiler takes them only if both agree.
  target_compile_options(${target} PRIVATE -fPIC)
endfunction()
