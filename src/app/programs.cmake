# Which of this folder's files make which program. The answerer's link line names none of the checker's libraries, and
# the keeper links next to nothing.
set(app ${CMAKE_SOURCE_DIR}/src/app)
add_library(har_app_base STATIC ${app}/messages.cc ${app}/process.cc ${app}/courtesy.cc ${app}/precedence.cc ${app}/become_user.cc ${app}/rights.cc)
target_link_libraries(har_app_base PUBLIC har_options har_base har_net)

# The system-call filters of the children.
add_library(har_app_filter STATIC ${app}/filter.cc ${app}/answerer_rights.cc ${app}/checker_rights.cc)
target_link_libraries(har_app_filter PUBLIC har_app_base PkgConfig::SECCOMP)

add_library(har_app_keeper STATIC ${app}/keeper.cc ${app}/keeper_configuration.cc ${app}/keeper_upgrade.cc ${app}/handover.cc
            ${app}/child.cc ${app}/listen_set.cc ${app}/port_owner.cc ${app}/keeper_rights.cc ${app}/service_manager.cc)
target_link_libraries(har_app_keeper PUBLIC har_app_base)

add_library(har_app_checker STATIC ${app}/checker.cc ${app}/checker_start.cc ${app}/checker_configuration.cc
            ${app}/checker_store.cc ${app}/checker_network.cc ${app}/accepted_copy.cc ${app}/bundle.cc ${app}/config_files.cc
            ${app}/moved_candidates.cc ${app}/host_seed.cc
            ${app}/network_watch.cc ${app}/table_plan.cc ${app}/upstream_source.cc ${app}/ways.cc)
target_link_libraries(har_app_checker PUBLIC har_app_base har_app_filter har_config har_table har_health har_probe har_store)

add_executable(hard ${app}/hard_main.cc)
target_link_libraries(hard PRIVATE har_app_keeper)
add_executable(hard-answerer ${app}/answerer_main.cc ${app}/worker.cc)
target_link_libraries(hard-answerer PRIVATE har_app_base har_app_filter har_answer har_front har_forward)
add_executable(hard-checker ${app}/checker_main.cc)
target_link_libraries(hard-checker PRIVATE har_app_checker)
foreach(program hard hard-answerer hard-checker)
  target_link_options(${program} PRIVATE -Wl,--as-needed)
  install(TARGETS ${program} DESTINATION sbin)
endforeach()

if(HAR_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
  file(GLOB app_tests CONFIGURE_DEPENDS ${app}/*_test.cc)
  add_executable(app_tests ${app_tests})
  har_test_options(app_tests)
  target_link_libraries(app_tests PRIVATE har_app_keeper har_app_checker GTest::gmock GTest::gtest_main)
  gtest_discover_tests(app_tests TEST_PREFIX app. DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT 120)
endif()
