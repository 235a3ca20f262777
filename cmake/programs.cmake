# The three executables. The answerer's link line names none of the checker's libraries (no TLS, HTTP or sqlite).
file(GLOB app_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/app/*.cc)
if(EXISTS ${CMAKE_SOURCE_DIR}/src/app/hard_main.cc)
  include(${CMAKE_SOURCE_DIR}/src/app/programs.cmake)
endif()
