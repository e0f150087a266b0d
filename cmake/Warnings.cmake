# sparsescope_warnings and sparsescope_sanitize: flags that every target of ours takes.
add_library(sparsescope_warnings INTERFACE)
target_compile_options(sparsescope_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align
  # Fields left out of a designated initialiser take their declared default: that is the intent.
  -Wno-missing-field-initializers)
if(SPARSESCOPE_WERROR)
  target_compile_options(sparsescope_warnings INTERFACE -Werror)
endif()

add_library(sparsescope_sanitize INTERFACE)
if(SPARSESCOPE_SANITIZE)
  target_compile_options(sparsescope_sanitize INTERFACE
    -fsanitize=${SPARSESCOPE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(sparsescope_sanitize INTERFACE -fsanitize=${SPARSESCOPE_SANITIZE})
endif()

# sparsescope_library(NAME sources...): the static library sparsescope_NAME of one folder.
function(sparsescope_library name)
  add_library(sparsescope_${name} STATIC ${ARGN})
  target_include_directories(sparsescope_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR})
  target_link_libraries(sparsescope_${name} PRIVATE sparsescope_warnings PUBLIC sparsescope_sanitize)
endfunction()
