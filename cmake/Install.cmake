# One layout for both doors: site-packages/adascale when pip installs, the prefix when `cmake --install` does.
#   lib/libadascale.so  lib/cmake/adascale/  include/adascale/<room>/*.h  bin/adascale  [_C.*.so, built_with.py: pip only]
include(CMakePackageConfigHelpers)

# The absolute folder lets a plain install find torch; a wheel that travels has only the folder beside itself.
function(set_install_rpath target)
  set(folders ${ARGN})
  if(ADASCALE_TORCH_RPATH)
    list(APPEND folders "${TORCH_ROOT}/lib")
  endif()
  set_target_properties(${target} PROPERTIES INSTALL_RPATH "${folders}" BUILD_RPATH "${TORCH_ROOT}/lib")
endfunction()

set_install_rpath(adascale "$ORIGIN" "$ORIGIN/../../torch/lib")
install(TARGETS adascale EXPORT adascale LIBRARY DESTINATION lib COMPONENT library)
install(
  DIRECTORY ${PROJECT_SOURCE_DIR}/adascale/
  DESTINATION include/adascale
  COMPONENT library
  FILES_MATCHING
  PATTERN "*.h")

# Debian's Highway is a shared library alone, which the machine that runs us need not have: it lies beside ours.
get_target_property(hwy_type hwy::hwy TYPE)
if(hwy_type STREQUAL SHARED_LIBRARY)
  install(FILES $<TARGET_FILE:hwy::hwy> DESTINATION lib RENAME $<TARGET_SONAME_FILE_NAME:hwy::hwy> COMPONENT library)
endif()

set(package_dir lib/cmake/adascale)
install(EXPORT adascale FILE adascaleTargets.cmake NAMESPACE adascale:: DESTINATION ${package_dir} COMPONENT library)
set(TORCH_BUILT_WITH "")
if(ADASCALE_TORCH_RPATH)
  set(TORCH_BUILT_WITH "\"${TORCH_ROOT}\"")
endif()
configure_package_config_file(cmake/adascaleConfig.cmake.in ${PROJECT_BINARY_DIR}/adascaleConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/adascaleConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/adascaleConfig.cmake ${PROJECT_BINARY_DIR}/adascaleConfigVersion.cmake
              cmake/Torch.cmake
        DESTINATION ${package_dir} COMPONENT library)

if(TARGET adascale_command)
  set_install_rpath(adascale_command "$ORIGIN/../lib" "$ORIGIN/../../torch/lib")
  install(TARGETS adascale_command RUNTIME DESTINATION bin COMPONENT library)
endif()
if(TARGET _C)
  set_install_rpath(_C "$ORIGIN/lib" "$ORIGIN/../torch/lib")
  # Only pip asks for this component: a plain install has no Python package to put the extension in.
  install(TARGETS _C LIBRARY DESTINATION . COMPONENT python EXCLUDE_FROM_ALL)
  file(CONFIGURE OUTPUT built_with.py @ONLY CONTENT [["""Written by CMake."""

TORCH_MINOR = "@TORCH_MINOR@"
]])
  install(FILES ${PROJECT_BINARY_DIR}/built_with.py DESTINATION . COMPONENT python EXCLUDE_FROM_ALL)
endif()
