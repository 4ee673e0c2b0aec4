# add_room(NAME [NO_TORCH] [ROOMS rooms below] [DEPENDS other targets]): one object library per folder of adascale/.
function(add_room name)
  cmake_parse_arguments(ARG "NO_TORCH" "" "ROOMS;DEPENDS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/adascale/${name}/*.cpp)
  add_library(adascale_${name} OBJECT ${sources})
  target_include_directories(adascale_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  target_link_libraries(adascale_${name} PRIVATE adascale_settings)
  target_link_libraries(adascale_${name} PUBLIC ${ARG_DEPENDS} OpenMP::OpenMP_CXX)
  foreach(room ${ARG_ROOMS})
    target_link_libraries(adascale_${name} PUBLIC adascale_${room})
  endforeach()
  if(NOT ARG_NO_TORCH)
    use_precompiled_headers(adascale_${name})
    # Three files read the headers once; a leaf's rebuild stays within seconds.
    set_target_properties(adascale_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 3)
  endif()
endfunction()

# add_library_of_rooms(NAME rooms...): the shared library that C++ users and the Python package link.
function(add_library_of_rooms name)
  add_library(${name} SHARED)
  add_library(${name}::${name} ALIAS ${name})
  foreach(room ${ARGN})
    target_sources(${name} PRIVATE $<TARGET_OBJECTS:adascale_${room}>)
  endforeach()
  target_include_directories(${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                                            $<INSTALL_INTERFACE:include>)
  target_link_libraries(${name} PRIVATE adascale_settings hwy::hwy)
  target_link_libraries(${name} PUBLIC adascale::torch OpenMP::OpenMP_CXX nlohmann_json::nlohmann_json)
  target_compile_definitions(${name} PUBLIC FMT_HEADER_ONLY) # torch's headers carry fmt
  target_compile_features(${name} PUBLIC cxx_std_20)
endfunction()
