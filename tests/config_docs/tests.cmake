# The configuration's documents: the example file and the manual page say what the schema says, and what they show works.
add_executable(config_docs_tests ${CMAKE_SOURCE_DIR}/tests/config_docs/docs_test.cc
                                 ${CMAKE_SOURCE_DIR}/tests/config_docs/example.cc)
target_include_directories(config_docs_tests PRIVATE ${CMAKE_SOURCE_DIR}/tests)
target_compile_definitions(config_docs_tests PRIVATE HAR_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
target_link_libraries(config_docs_tests PRIVATE har_config GTest::gmock GTest::gtest_main)
gtest_discover_tests(config_docs_tests TEST_PREFIX config_docs. DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT 120)
find_program(HAR_MANDOC mandoc)
if(HAR_MANDOC)
  add_test(NAME config_docs.har.conf.5_is_clean
           COMMAND ${HAR_MANDOC} -T lint -W warning ${CMAKE_SOURCE_DIR}/doc/man/har.conf.5)
endif()
