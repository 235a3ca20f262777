# The rights of the three processes, tried out in children of a test program. Off in sanitizer builds, as the filters
# are: so it is also built for the release build, where tests/e2e/test_rights.py runs it.
find_package(GTest REQUIRED)
include(GoogleTest)
file(GLOB rights_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.cc)
add_executable(rights_tests ${rights_sources})
target_include_directories(rights_tests PRIVATE ${CMAKE_SOURCE_DIR}/tests)
target_link_libraries(rights_tests PRIVATE har_app_filter har_app_keeper GTest::gtest_main)
if(HAR_TESTS)
  gtest_discover_tests(rights_tests TEST_PREFIX rights. DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT 60)
else()
  set_target_properties(rights_tests PROPERTIES EXCLUDE_FROM_ALL ON)
endif()
