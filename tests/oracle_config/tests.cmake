# The configuration reader against libconfuse itself (libconfuse-dev): the same texts, the same values.
pkg_check_modules(CONFUSE IMPORTED_TARGET libconfuse)
if(CONFUSE_FOUND)
  add_executable(config_oracle ${CMAKE_CURRENT_LIST_DIR}/config_oracle.cc)
  target_link_libraries(config_oracle PRIVATE har_options PkgConfig::CONFUSE)
  add_executable(config_oracle_tests ${CMAKE_CURRENT_LIST_DIR}/config_oracle_test.cc)
  target_compile_definitions(config_oracle_tests PRIVATE HAR_CONFIG_ORACLE="$<TARGET_FILE:config_oracle>"
                                                         HAR_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  add_dependencies(config_oracle_tests config_oracle)
  target_link_libraries(config_oracle_tests PRIVATE har_config GTest::gmock GTest::gtest_main)
  gtest_discover_tests(config_oracle_tests TEST_PREFIX oracle_config. DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT 300)
endif()
