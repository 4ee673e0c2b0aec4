# embed_texts(TARGET HEADER FUNCTION files...): a source of TARGET that defines FUNCTION() of HEADER, which gives the files' names
# from the root of the tree, and their texts.
function(embed_texts target header function)
  set(ENTRIES "")
  foreach(name ${ARGN})
    file(READ ${PROJECT_SOURCE_DIR}/${name} text)
    string(APPEND ENTRIES "      {\"${name}\", R\"embedded(${text})embedded\"},\n")
    set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${name})
  endforeach()
  set(HEADER ${header})
  set(FUNCTION ${function})
  file(CONFIGURE OUTPUT ${function}.cpp @ONLY CONTENT [[#include "@HEADER@"

namespace adascale {

const std::vector<EmbeddedText>& @FUNCTION@() {
  static const std::vector<EmbeddedText> texts{
@ENTRIES@  };
  return texts;
}

}  // namespace adascale
]])
  target_sources(${target} PRIVATE ${function}.cpp)
endfunction()
