# embed_texts(TARGET OUTPUT files...): a source of TARGET that defines `embedded_texts()` of adascale/kernels/embedded_texts.h:
# the files' names from the root of the tree, and their texts.
function(embed_texts target output)
  set(ENTRIES "")
  foreach(name ${ARGN})
    file(READ ${PROJECT_SOURCE_DIR}/${name} text)
    string(APPEND ENTRIES "      {\"${name}\", R\"embedded(${text})embedded\"},\n")
    set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${name})
  endforeach()
  file(CONFIGURE OUTPUT ${output} @ONLY CONTENT [[#include "adascale/kernels/embedded_texts.h"

namespace adascale {

const std::vector<EmbeddedText>& embedded_texts() {
  static const std::vector<EmbeddedText> texts{
@ENTRIES@  };
  return texts;
}

}  // namespace adascale
]])
  target_sources(${target} PRIVATE ${output})
endfunction()
