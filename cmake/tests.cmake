# Tests that are not unit tests beside their file: fuzz targets (corpus replayed), replayed scenarios, the tree's rules.
find_package(GTest REQUIRED)
include(GoogleTest)
file(GLOB more CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/*/tests.cmake)
foreach(file ${more})
  include(${file})
endforeach()
