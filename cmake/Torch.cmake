# adascale::torch from a torch of pip's: its headers and its CPU libraries, and no CUDA toolkit. find_package(Torch) would
# want one beside a CUDA build of torch, and would link libtorch_cuda: the result would not run beside a CPU build.
# Installed beside adascaleConfig.cmake, so that our users get the same target.

# read_torch_version(ROOT VARIABLE): `2.13.0` of version.py's '2.13.0+cpu'; empty where ROOT holds no torch.
function(read_torch_version root variable)
  set(line "")
  if(EXISTS "${root}/version.py")
    file(STRINGS "${root}/version.py" line REGEX "^__version__ = " LIMIT_COUNT 1)
  endif()
  string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" version "${line}")
  set(${variable} "${version}" PARENT_SCOPE)
endfunction()

# add_torch(ROOT): ROOT is the folder `torch` of site-packages.
function(add_torch root)
  if(TARGET adascale::torch)
    return()
  endif()
  foreach(file include/ATen/core/Tensor.h lib/libtorch_cpu.so lib/libc10.so)
    if(NOT EXISTS "${root}/${file}")
      message(FATAL_ERROR "${root}: no ${file}, expected a torch that pip installed; pip install torch")
    endif()
  endforeach()
  add_library(adascale::torch INTERFACE IMPORTED)
  target_include_directories(adascale::torch INTERFACE "${root}/include" "${root}/include/torch/csrc/api/include")
  target_link_libraries(adascale::torch INTERFACE "${root}/lib/libtorch_cpu.so" "${root}/lib/libc10.so")
  # libtorch_cpu.so of a CUDA build needs libraries of NVIDIA's wheels, which its own RPATH finds at run time.
  target_link_options(adascale::torch INTERFACE LINKER:--allow-shlib-undefined)
  target_compile_features(adascale::torch INTERFACE cxx_std_20)
endfunction()

# use_openmp_of_torch(ROOT), before find_package(OpenMP): the wheel brings its own libgomp. The same file, or a process
# has two.
function(use_openmp_of_torch root)
  if(EXISTS "${root}/lib/libgomp.so.1")
    set(OpenMP_gomp_LIBRARY "${root}/lib/libgomp.so.1" CACHE FILEPATH "OpenMP runtime" FORCE)
  endif()
endfunction()
